//! The official SDK with in-memory exporters, installed globally or not, and queries on its data.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{Context, global};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, InMemoryMetricExporterBuilder, PeriodicReader, SdkMeterProvider, Temporality,
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use otel_runtime::propagation;
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, filter};

use crate::server::TIMEOUT;

mod attributes;
mod local;
mod metrics;
mod sampler;

pub use attributes::{Attributes, attributes, expected};
pub use local::LocalTelemetry;
pub use metrics::Metrics;
pub use sampler::RecordingSampler;

static INSTALLED: LazyLock<Installed> = LazyLock::new(Installed::new);
static TURN: Mutex<()> = Mutex::new(());

struct Installed {
    spans: InMemorySpanExporter,
    ended: watch::Receiver<usize>,
    started: watch::Receiver<usize>,
    /// Number of spans that have started and do not end.
    discarded: AtomicUsize,
    meters: SdkMeterProvider,
    metrics: InMemoryMetricExporter,
    logs: InMemoryLogExporter,
}

impl Installed {
    fn new() -> Self {
        let spans = InMemorySpanExporter::default();
        let (started_tx, started) = watch::channel(0);
        let (ended_tx, ended) = watch::channel(0);
        let tracers = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_simple_exporter(spans.clone())
            // After the exporter, so that a woken test finds the span exported.
            .with_span_processor(Count {
                started: started_tx,
                ended: ended_tx,
            })
            .build();
        global::set_tracer_provider(tracers);

        let metrics = InMemoryMetricExporterBuilder::new()
            .with_temporality(Temporality::Delta)
            .build();
        // Collect only on demand.
        let reader = PeriodicReader::builder(metrics.clone())
            .with_interval(Duration::from_secs(24 * 60 * 60))
            .build();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        global::set_meter_provider(meters.clone());

        propagation::set_global(propagation::from_names("tracecontext,baggage"));

        let logs = InMemoryLogExporter::default();
        let loggers = SdkLoggerProvider::builder().with_simple_exporter(logs.clone()).build();
        // Tests make no assertions about the transport's own events and spans.
        let ours = filter::filter_fn(|metadata| {
            let target = metadata.target();
            !["h2", "hyper", "tonic", "tower", "opentelemetry"]
                .iter()
                .any(|library| target.starts_with(library))
        });
        let spans_of_tracing = tracing_opentelemetry::layer().with_tracer(global::tracer("tracing"));
        let subscriber = tracing_subscriber::registry()
            .with(spans_of_tracing.with_filter(ours.clone()))
            .with(OpenTelemetryTracingBridge::new(&loggers).with_filter(ours));
        tracing::subscriber::set_global_default(subscriber).expect("no other subscriber is set");

        Installed {
            spans,
            ended,
            started,
            discarded: AtomicUsize::new(0),
            meters,
            metrics,
            logs,
        }
    }
}

#[derive(Debug)]
struct Count {
    started: watch::Sender<usize>,
    ended: watch::Sender<usize>,
}

impl SpanProcessor for Count {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.started.send_modify(|count| *count += 1);
    }

    fn on_end(&self, _: SpanData) {
        self.ended.send_modify(|count| *count += 1);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Waits until the spans of the previous test have ended, for a second at most.
///
/// The runtime of a test, with the tasks of its server, is dropped after the test's telemetry.
fn wait_for_earlier_spans() {
    let started = Instant::now();
    let discarded = INSTALLED.discarded.load(Ordering::Relaxed);
    while *INSTALLED.started.borrow() != *INSTALLED.ended.borrow() + discarded
        && started.elapsed() < Duration::from_secs(1)
    {
        thread::yield_now();
    }
}

/// The telemetry of one test.
///
/// The providers are global, so tests of one process that use them run one after the other.
pub struct Telemetry {
    _turn: MutexGuard<'static, ()>,
    started_before: usize,
    ended_before: usize,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Waits for this test's turn, and starts with nothing recorded.
    #[must_use]
    pub fn start() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        wait_for_earlier_spans();
        INSTALLED.meters.force_flush().unwrap();
        INSTALLED.metrics.reset();
        INSTALLED.spans.reset();
        INSTALLED.logs.reset();
        Telemetry {
            _turn: turn,
            started_before: *INSTALLED.started.borrow(),
            ended_before: *INSTALLED.ended.borrow(),
        }
    }

    /// Waits until `count` spans have been started since [`start`](Self::start).
    pub async fn spans_started(&self, count: usize) {
        let mut started = INSTALLED.started.clone();
        let wait = started.wait_for(|started| *started >= self.started_before + count);
        tokio::time::timeout(TIMEOUT, wait)
            .await
            .unwrap_or_else(|_| panic!("waited for {count} spans to start"))
            .unwrap();
    }

    /// Waits until `count` spans have ended, and asserts that there are no others.
    pub async fn spans(&self, count: usize) -> Vec<SpanData> {
        let mut ended = INSTALLED.ended.clone();
        let wait = ended.wait_for(|ended| *ended >= self.ended_before + count);
        let in_time = tokio::time::timeout(TIMEOUT, wait).await.is_ok();
        let spans = self.ended_spans();
        let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
        assert!(in_time, "waited for {count} spans, found {names:?}");
        assert_eq!(spans.len(), count, "{names:?}");
        assert_eq!(self.started(), count, "more spans started than ended: {names:?}");
        spans
    }

    /// Waits for a span to end, and asserts that there is no other.
    pub async fn span(&self) -> SpanData {
        self.spans(1).await.remove(0)
    }

    /// Returns the spans that have ended so far.
    #[must_use]
    pub fn ended_spans(&self) -> Vec<SpanData> {
        INSTALLED.spans.get_finished_spans().unwrap()
    }

    /// Returns the number of spans started since [`start`](Self::start).
    #[must_use]
    pub fn started(&self) -> usize {
        *INSTALLED.started.borrow() - self.started_before
    }

    /// Expects that this number of spans has started and does not end.
    pub fn discard_spans(&mut self, count: usize) {
        self.started_before += count;
        INSTALLED.discarded.fetch_add(count, Ordering::Relaxed);
    }

    /// Collects the metrics recorded since the last call.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        INSTALLED.metrics.reset();
        INSTALLED.meters.force_flush().unwrap();
        Metrics(INSTALLED.metrics.get_finished_metrics().unwrap())
    }

    /// Waits until `count` durations have been recorded, for RPCs without a span to wait for.
    ///
    /// Asserts that there are no others, and that no RPC is active.
    pub async fn durations(&self, count: u64) -> Vec<Attributes> {
        let mut durations = Vec::new();
        let mut active = Vec::new();
        let wait = async {
            loop {
                let metrics = self.metrics();
                for (point, count, _) in metrics.durations() {
                    durations.extend((0..count).map(|_| point.clone()));
                }
                active = metrics.active_requests();
                active.retain(|(_, active)| *active != 0);
                if durations.len() as u64 >= count && active.is_empty() {
                    return;
                }
                // Instruments do not notify of measurements, so poll.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = tokio::time::timeout(TIMEOUT, wait).await.is_ok();
        assert!(
            in_time,
            "waited for {count} durations, found {durations:?}, and {active:?} are active"
        );
        assert_eq!(durations.len() as u64, count, "{durations:?}");
        durations
    }

    /// Returns the log records of the test.
    #[must_use]
    pub fn logs(&self) -> Vec<Log> {
        let logs = INSTALLED.logs.get_emitted_logs().unwrap();
        logs.iter()
            .map(|log| Log {
                event_name: log.record.event_name(),
                severity: log.record.severity_number().map(|severity| severity.name()),
                body: log.record.body().and_then(text),
                attributes: log
                    .record
                    .attributes_iter()
                    .map(|(key, value)| (key.to_string(), text(value).unwrap_or_default()))
                    .collect(),
                trace: log.record.trace_context().map(|trace| (trace.trace_id, trace.span_id)),
            })
            .collect()
    }
}

fn text(value: &opentelemetry::logs::AnyValue) -> Option<String> {
    match value {
        opentelemetry::logs::AnyValue::String(text) => Some(text.to_string()),
        opentelemetry::logs::AnyValue::Int(number) => Some(number.to_string()),
        opentelemetry::logs::AnyValue::Double(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The fields of a log record that tests check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Log {
    pub event_name: Option<&'static str>,
    pub severity: Option<&'static str>,
    pub body: Option<String>,
    pub attributes: BTreeMap<String, String>,
    pub trace: Option<(TraceId, SpanId)>,
}

/// A value shared between a test and the service that it calls.
pub type Shared<T> = Arc<Mutex<T>>;
