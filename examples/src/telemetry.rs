//! OpenTelemetry's SDK, with exporters to memory.

use std::time::Duration;

use opentelemetry::{Context, global};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use otel_runtime::propagation;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long to wait for spans that have not ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// The collected telemetry.
#[derive(Debug)]
pub struct Telemetry {
    spans: SpanCollector,
    meter_provider: SdkMeterProvider,
    metrics: InMemoryMetricExporter,
}

impl Telemetry {
    /// Installs the global providers and the global propagator.
    ///
    /// `#[traced_service]` reads the global providers at the first RPC, so call this before.
    #[must_use]
    pub fn install() -> Self {
        propagation::set_global(propagation::TraceContextPropagator::new());

        let spans = SpanCollector::default();
        global::set_tracer_provider(SdkTracerProvider::builder().with_span_processor(spans.clone()).build());

        let metrics = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(metrics.clone()).build();
        let meter_provider = SdkMeterProvider::builder().with_reader(reader).build();
        global::set_meter_provider(meter_provider.clone());

        Telemetry {
            spans,
            meter_provider,
            metrics,
        }
    }

    /// Returns all spans, once the last of them has ended.
    pub async fn spans(&self) -> Vec<SpanData> {
        self.spans.ended().await
    }

    /// Returns the current metrics.
    ///
    /// # Errors
    ///
    /// Returns an error if they cannot be collected.
    pub fn metrics(&self) -> Result<ResourceMetrics, OTelSdkError> {
        self.metrics.reset();
        self.meter_provider.force_flush()?;
        Ok(self.metrics.get_finished_metrics()?.pop().unwrap_or_default())
    }
}

/// A span processor that keeps ended spans, and counts the others.
///
/// If a caller cancels an RPC, the server's span ends a moment later, and has to be awaited.
#[derive(Clone, Debug, Default)]
struct SpanCollector(watch::Sender<Spans>);

#[derive(Debug, Default)]
struct Spans {
    open: usize,
    ended: Vec<SpanData>,
}

impl SpanCollector {
    async fn ended(&self) -> Vec<SpanData> {
        let mut spans = self.0.subscribe();
        // After the timeout, the spans that have ended are returned nevertheless.
        let _ = timeout(PATIENCE, spans.wait_for(|spans| spans.open == 0)).await;
        spans.borrow().ended.clone()
    }
}

impl SpanProcessor for SpanCollector {
    fn on_start(&self, _span: &mut Span, _context: &Context) {
        self.0.send_modify(|spans| spans.open += 1);
    }

    fn on_end(&self, span: SpanData) {
        self.0.send_modify(|spans| {
            spans.open -= 1;
            spans.ended.push(span);
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
