//! OpenTelemetry's SDK, with memory where a service has an exporter.

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
    /// Makes itself the destination of the program's traces and metrics.
    ///
    /// `#[traced_service]` uses the global providers as they are when the first RPC comes: install
    /// them before.
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

    /// All spans, once the last of them has ended.
    pub async fn spans(&self) -> Vec<SpanData> {
        self.spans.ended().await
    }

    /// The metrics as they stand.
    ///
    /// # Errors
    ///
    /// When they cannot be collected.
    pub fn metrics(&self) -> Result<ResourceMetrics, OTelSdkError> {
        self.metrics.reset();
        self.meter_provider.force_flush()?;
        Ok(self.metrics.get_finished_metrics()?.pop().unwrap_or_default())
    }
}

/// Keeps the spans that have ended, and counts those that have not.
///
/// An RPC whose caller went away ends some time after the caller saw it end. Whoever wants to see
/// its span can wait for it here.
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
        // In vain, if some span never ends. Those that did are still worth seeing.
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
