//! Telemetry of the process for one test: `otel_setup::testing`, with log records and queries.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use opentelemetry_sdk::trace::SpanData;
use otel_setup::testing::{RecordedSpan, TestTelemetry};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, filter};

use crate::server::TIMEOUT;

mod attributes;
mod metrics;
mod sampler;

pub use attributes::{Attributes, attributes, expected};
pub use metrics::Metrics;
pub use sampler::RecordingSampler;

/// The log records of the process.
static LOGS: LazyLock<InMemoryLogExporter> = LazyLock::new(install_subscriber);

/// Installs a subscriber that exports spans and log records.
fn install_subscriber() -> InMemoryLogExporter {
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
    logs
}

/// The telemetry of one test.
///
/// The providers are global, so tests of one process that use them run one after the other.
#[derive(Debug)]
pub struct Telemetry(TestTelemetry);

impl Telemetry {
    /// Waits for this test's turn, and starts with nothing recorded.
    #[must_use]
    pub fn start() -> Self {
        let telemetry = TestTelemetry::global().timeout(TIMEOUT);
        LOGS.reset();
        Telemetry(telemetry)
    }

    /// Waits until `count` spans have been started since [`start`](Self::start).
    pub async fn spans_started(&self, count: usize) {
        self.0.started(count).await;
    }

    /// Waits until `count` spans have ended, and asserts that there are no others.
    #[track_caller]
    pub fn spans(&self, count: usize) -> impl Future<Output = Vec<SpanData>> {
        let spans = self.0.spans(count);
        async { spans.await.into_iter().map(RecordedSpan::into_data).collect() }
    }

    /// Waits for a span to end, and asserts that there is no other.
    #[track_caller]
    pub fn span(&self) -> impl Future<Output = SpanData> {
        let spans = self.spans(1);
        async { spans.await.remove(0) }
    }

    /// Returns the spans that have ended so far.
    #[must_use]
    pub fn ended_spans(&self) -> Vec<SpanData> {
        self.0.ended_spans().into_iter().map(RecordedSpan::into_data).collect()
    }

    /// Returns the number of spans started since [`start`](Self::start).
    #[must_use]
    pub fn started(&self) -> usize {
        self.0.started_count()
    }

    /// Expects that this number of spans has started and does not end.
    pub fn discard_spans(&self, count: usize) {
        self.0.discard_spans(count);
    }

    /// Collects the metrics recorded since the last call.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::last(&self.0.metrics())
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
        let logs = LOGS.get_emitted_logs().unwrap();
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
