//! OpenTelemetry's SDK, with exporters to memory, and the zPages.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use otel_runtime::propagation;
use otel_setup::{InitError, StdoutLogs};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long to wait for spans that have not ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// The collected telemetry.
#[derive(Debug)]
pub struct Telemetry {
    setup: otel_setup::Telemetry,
    zpages: SocketAddr,
    spans: SpanCollector,
    metrics: InMemoryMetricExporter,
}

impl Telemetry {
    /// Installs the global providers and the global propagator, and serves the zPages on a free
    /// port of the loopback interface.
    ///
    /// `#[traced_service]` reads the global providers at the first RPC, so call this before.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is free.
    pub fn install() -> Result<Self, InitError> {
        let spans = SpanCollector::default();
        let metrics = InMemoryMetricExporter::default();
        let (processor, exporter) = (spans.clone(), metrics.clone());
        let setup = otel_setup::builder()
            .service_name("route-guide")
            .trace_exporters([])
            .metric_exporters([])
            .log_exporters([])
            .stdout_logs(StdoutLogs::Off)
            .zpages_address((Ipv4Addr::LOCALHOST, 0).into())
            .propagator(propagation::TraceContextPropagator::new())
            .configure_tracer_provider(|provider| provider.with_span_processor(processor))
            .configure_meter_provider(|provider| provider.with_reader(PeriodicReader::builder(exporter).build()))
            .init()?;
        let zpages = setup
            .zpages_address()
            .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        Ok(Telemetry {
            setup,
            zpages,
            spans,
            metrics,
        })
    }

    /// Returns the address of the zPages.
    #[must_use]
    pub fn zpages(&self) -> SocketAddr {
        self.zpages
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
    pub async fn metrics(&self) -> Result<ResourceMetrics, Box<dyn Error + Send + Sync>> {
        self.metrics.reset();
        self.setup.flush(PATIENCE).await?;
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
