//! The SDK of a measurement, with exporters that count and drop.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use opentelemetry::{Context, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor};
use otel_runtime::propagation;

/// The installed providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No SDK.
    NoSdk,
    /// A meter provider.
    Metrics,
    /// A meter provider, and spans that end in a processor that counts them on each thread.
    Spans,
    /// A meter provider, and spans that go to the batch processor.
    Batch,
}

impl Mode {
    pub(crate) const ALL: [Mode; 4] = [Mode::NoSdk, Mode::Metrics, Mode::Spans, Mode::Batch];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::NoSdk => "no SDK",
            Mode::Metrics => "metrics only",
            Mode::Spans => "spans and metrics",
            Mode::Batch => "spans in batches and metrics",
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Mode::ALL.into_iter().find(|mode| mode.name() == name);
        found.ok_or_else(|| format!("no mode {name}"))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The counts of an exporter.
#[derive(Clone, Debug, Default)]
struct Count(Arc<AtomicU64>);

impl SpanExporter for Count {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(batch.len() as u64, Relaxed);
        Ok(())
    }
}

impl PushMetricExporter for Count {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let all = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
        let durations = all.filter(|metric| metric.name().ends_with("duration"));
        let counts = durations.map(|metric| match metric.data() {
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                histogram.data_points().map(HistogramDataPoint::count).sum()
            }
            _ => 0,
        });
        self.0.store(counts.sum(), Relaxed);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// A processor that ignores spans, so that contention between threads is not its own.
#[derive(Debug)]
struct Drops;

impl SpanProcessor for Drops {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        drop(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The providers that are installed in this process.
#[derive(Default)]
pub(crate) struct Installed {
    tracers: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    spans: Count,
    durations: Count,
}

/// Installs the providers. Metrics are collected each second, so that the measurement includes it.
const READ_EACH: Duration = Duration::from_secs(1);

pub(crate) fn install(mode: Mode) -> Installed {
    let mut installed = Installed::default();
    if mode != Mode::NoSdk {
        let reader = PeriodicReader::builder(installed.durations.clone()).with_interval(READ_EACH);
        let meters = SdkMeterProvider::builder().with_reader(reader.build()).build();
        global::set_meter_provider(meters.clone());
        installed.meters = Some(meters);
    }
    let tracers = match mode {
        Mode::NoSdk | Mode::Metrics => return installed,
        Mode::Spans => SdkTracerProvider::builder().with_span_processor(Drops),
        Mode::Batch => SdkTracerProvider::builder().with_batch_exporter(installed.spans.clone()),
    };
    let tracers = tracers.build();
    global::set_tracer_provider(tracers.clone());
    propagation::set_global(propagation::TraceContextPropagator::new());
    installed.tracers = Some(tracers);
    installed
}

impl Installed {
    /// Returns the numbers of exported spans and recorded durations.
    ///
    /// A variant that is cheap because it records nothing shows here.
    pub(crate) fn recorded(&self) -> (u64, u64) {
        if let Some(tracers) = &self.tracers {
            let _ = tracers.force_flush();
        }
        if let Some(meters) = &self.meters {
            let _ = meters.force_flush();
        }
        (self.spans.0.load(Relaxed), self.durations.0.load(Relaxed))
    }
}
