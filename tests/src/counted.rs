//! Telemetry that counts spans instead of storing them, for tests with very many RPCs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Histogram, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, Instrument, PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use otel_runtime::Instrumentation;

use crate::server::TIMEOUT;
use crate::telemetry::attributes;

/// A span processor that counts spans.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    started: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    ends: Arc<Mutex<BTreeMap<(String, String), u64>>>,
}

impl Spans {
    /// Returns the number of spans that have started.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Returns the number of spans that have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Returns the number of ended spans of a kind by `rpc.status_code`, or by `panic`.
    #[must_use]
    pub fn ends(&self, kind: &SpanKind) -> BTreeMap<String, u64> {
        let kind = format!("{kind:?}");
        let ends = self.ends.lock().unwrap();
        let of_kind = ends.iter().filter(|((found, _), _)| *found == kind);
        of_kind.map(|((_, end), count)| (end.clone(), *count)).collect()
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    fn on_end(&self, span: SpanData) {
        let found = attributes(&span.attributes);
        let end = match found.get("error.type") {
            Some(error) if error == "panic" => error.clone(),
            _ => found.get("rpc.status_code").cloned().unwrap_or_default(),
        };
        let kind = format!("{:?}", span.span_kind);
        *self.ends.lock().unwrap().entry((kind, end)).or_default() += 1;
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// An SDK that is not installed globally.
#[derive(Debug)]
pub struct CountingTelemetry {
    /// The span processor.
    pub spans: Spans,
    /// The tracer provider.
    pub tracers: SdkTracerProvider,
    /// The meter provider.
    pub meters: SdkMeterProvider,
    metrics: InMemoryMetricExporter,
    /// The instrumentation that records with these providers.
    pub instrumentation: Instrumentation,
}

/// The time series of an instrument, by the values of their attributes.
///
/// A histogram's value is its count, and a sum's value is the sum.
pub type Series = BTreeMap<String, i64>;

impl Default for CountingTelemetry {
    fn default() -> Self {
        CountingTelemetry::with_series(2000)
    }
}

impl CountingTelemetry {
    /// Creates telemetry with this cardinality limit. The SDK's default is 2,000.
    #[must_use]
    pub fn with_series(limit: usize) -> Self {
        let spans = Spans::default();
        let tracers = SdkTracerProvider::builder().with_span_processor(spans.clone()).build();
        let metrics = InMemoryMetricExporter::default();
        // Collect only on demand.
        let reader = PeriodicReader::builder(metrics.clone())
            .with_interval(Duration::from_secs(24 * 60 * 60))
            .build();
        let view = move |_: &Instrument| Stream::builder().with_cardinality_limit(limit).build().ok();
        let meters = SdkMeterProvider::builder().with_reader(reader).with_view(view).build();
        let instrumentation = Instrumentation::builder()
            .tracer_provider(&tracers)
            .meter_provider(&meters)
            .build();
        CountingTelemetry {
            spans,
            tracers,
            meters,
            metrics,
            instrumentation,
        }
    }

    /// Collects the metrics, and returns their series by instrument.
    #[must_use]
    pub fn series(&self) -> BTreeMap<String, Series> {
        self.meters.force_flush().unwrap();
        let collected = self.metrics.get_finished_metrics().unwrap();
        self.metrics.reset();
        let scopes = collected.iter().flat_map(ResourceMetrics::scope_metrics);
        let instruments = scopes.flat_map(ScopeMetrics::metrics).map(|metric| {
            let series = match metric.data() {
                AggregatedMetrics::F64(MetricData::Histogram(durations)) => counts(durations),
                AggregatedMetrics::U64(MetricData::Histogram(sizes)) => counts(sizes),
                AggregatedMetrics::I64(MetricData::Sum(active)) => active
                    .data_points()
                    .map(|point| (labels(point.attributes()), point.value()))
                    .collect(),
                _ => panic!("{} is new", metric.name()),
            };
            (metric.name().to_owned(), series)
        });
        instruments.collect()
    }

    /// Waits until this many spans have ended, and returns the metrics.
    ///
    /// A caller may see the end of an RPC before the span ends.
    pub async fn after(&self, rpcs: u64) -> BTreeMap<String, Series> {
        let wait = async {
            while self.spans.ended() < rpcs {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(TIMEOUT, wait).await;
        assert!(in_time.is_ok(), "{} of {rpcs} have ended", self.spans.ended());
        assert_eq!((self.spans.started(), self.spans.ended()), (rpcs, rpcs));
        self.series()
    }
}

fn counts<T>(histogram: &Histogram<T>) -> Series {
    histogram
        .data_points()
        .map(|point| (labels(point.attributes()), point.count().try_into().unwrap()))
        .collect()
}

fn labels<'a>(found: impl Iterator<Item = &'a KeyValue>) -> String {
    let labels = attributes(found);
    let labels = labels.into_iter().filter(|(key, _)| key != "rpc.system.name");
    labels.map(|(_, value)| value).collect::<Vec<_>>().join(" ")
}

/// Builds series from literals.
#[must_use]
pub fn series<const N: usize>(expected: [(&str, u64); N]) -> Series {
    expected
        .into_iter()
        .map(|(labels, value)| (labels.to_owned(), value.try_into().unwrap()))
        .collect()
}

/// Reads a number from an environment variable, or returns the default, and prints it.
#[must_use]
pub fn number_from_env(variable: &str, otherwise: u64) -> u64 {
    let number = std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap());
    println!("{variable}={number}");
    number
}
