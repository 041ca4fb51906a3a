//! An SDK with in-memory exporters that is not installed globally.

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use otel_runtime::Instrumentation;

use super::Metrics;

/// Telemetry of its own, for a service or a client with an [`Instrumentation`].
#[derive(Debug)]
pub struct LocalTelemetry {
    /// The instrumentation that records with this telemetry.
    pub instrumentation: Instrumentation,
    spans: InMemorySpanExporter,
    meters: SdkMeterProvider,
    metrics: InMemoryMetricExporter,
}

impl LocalTelemetry {
    /// Creates telemetry with this propagator.
    pub fn new(propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        let spans = InMemorySpanExporter::default();
        let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let metrics = InMemoryMetricExporter::default();
        let meters = SdkMeterProvider::builder()
            .with_reader(PeriodicReader::builder(metrics.clone()).build())
            .build();
        let instrumentation = Instrumentation::builder()
            .tracer_provider(&tracers)
            .meter_provider(&meters)
            .propagator(propagator)
            .build();
        LocalTelemetry {
            instrumentation,
            spans,
            meters,
            metrics,
        }
    }

    /// Returns the span that has ended, and asserts that there is no other.
    #[must_use]
    pub fn span(&self) -> SpanData {
        let mut spans = self.spans.get_finished_spans().unwrap();
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.remove(0)
    }

    /// Collects the metrics.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.meters.force_flush().unwrap();
        Metrics(self.metrics.get_finished_metrics().unwrap())
    }
}
