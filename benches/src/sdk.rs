//! The SDK of a measurement, without exporters.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use opentelemetry::{Context, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor, TracerProviderBuilder};
use otel_runtime::propagation;

/// The installed providers, and the sampling decision of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Spans and metrics. The caller's span is sampled, and so are ours.
    Sampled,
    /// Spans and metrics. The caller's span is not sampled, and the sampler follows.
    NotSampled,
    /// A meter provider, and neither a tracer provider nor a propagator.
    MetricsOnly,
    /// Nothing.
    NoSdk,
    /// As `Sampled`, with otel-setup's tracer provider: guards around the sampler and the span
    /// processors.
    SetUp,
}

impl Mode {
    /// The modes that the table has.
    pub(crate) const TABLE: [Mode; 4] = [Mode::Sampled, Mode::NotSampled, Mode::MetricsOnly, Mode::NoSdk];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Sampled => "sampled",
            Mode::NotSampled => "not-sampled",
            Mode::MetricsOnly => "metrics-only",
            Mode::NoSdk => "no-sdk",
            Mode::SetUp => "set-up",
        }
    }

    pub(crate) fn caller_is_sampled(self) -> bool {
        self != Mode::NotSampled
    }

    pub(crate) fn has_spans(self) -> bool {
        matches!(self, Mode::Sampled | Mode::NotSampled | Mode::SetUp)
    }

    pub(crate) fn has_sampled_spans(self) -> bool {
        self.has_spans() && self.caller_is_sampled()
    }

    pub(crate) fn has_metrics(self) -> bool {
        self != Mode::NoSdk
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = Mode::TABLE.into_iter().chain([Mode::SetUp]);
        let found = all.find(|mode| mode.name() == name);
        found.ok_or_else(|| format!("no mode {name}"))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The number of spans that have ended.
static SPANS: AtomicU64 = AtomicU64::new(0);

/// A processor that only counts spans.
#[derive(Debug)]
struct Counts;

impl SpanProcessor for Counts {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        SPANS.fetch_add(1, Relaxed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A reader that collects once, at the end.
#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: std::sync::Weak<opentelemetry_sdk::metrics::Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: opentelemetry_sdk::metrics::InstrumentKind) -> opentelemetry_sdk::metrics::Temporality {
        self.0.temporality(kind)
    }
}

/// The providers that are installed in this process.
pub(crate) struct Installed {
    reader: Reader,
}

/// Installs the providers, and otel-runtime's propagator or the SDK's.
pub(crate) fn install(mode: Mode, with_our_propagator: bool) -> Installed {
    let reader = Reader(Arc::new(ManualReader::default()));
    if mode.has_spans() {
        let configure = |builder: TracerProviderBuilder| {
            let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
            builder.with_sampler(sampler).with_span_processor(Counts)
        };
        if mode == Mode::SetUp {
            let setup = otel_setup::builder().without_subscriber();
            let setup = setup.trace_exporters([]).metric_exporters([]).log_exporters([]);
            let telemetry = setup.configure_tracer_provider(configure).init();
            // Dropped, it would shut the provider down.
            std::mem::forget(telemetry.expect("a setup without exporters"));
        } else {
            let tracers = configure(SdkTracerProvider::builder()).build();
            global::set_tracer_provider(tracers);
        }
        if with_our_propagator {
            propagation::set_global(propagation::TraceContextPropagator::new());
        } else {
            global::set_text_map_propagator(opentelemetry_sdk::propagation::TraceContextPropagator::new());
        }
    }
    if mode.has_metrics() {
        let meters = SdkMeterProvider::builder().with_reader(reader.clone()).build();
        global::set_meter_provider(meters);
    }
    Installed { reader }
}

impl Installed {
    /// Returns the numbers of ended spans and recorded durations.
    ///
    /// A variant that is cheap because it records nothing shows here.
    pub(crate) fn recorded(&self) -> (u64, u64) {
        let mut metrics = ResourceMetrics::default();
        let _ = self.reader.collect(&mut metrics);
        let all = metrics
            .scope_metrics()
            .flat_map(opentelemetry_sdk::metrics::data::ScopeMetrics::metrics);
        let durations = all.map(|metric| match metric.data() {
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => histogram
                .data_points()
                .map(opentelemetry_sdk::metrics::data::HistogramDataPoint::count)
                .sum(),
            _ => 0,
        });
        (SPANS.load(Relaxed), durations.sum())
    }
}
