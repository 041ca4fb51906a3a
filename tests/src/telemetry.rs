//! The official SDK with in-memory exporters, installed globally, and what the tests ask of it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{Link, SpanId, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, InMemoryMetricExporterBuilder, PeriodicReader, SdkMeterProvider, Temporality,
};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData,
    SpanProcessor,
};
use otel_runtime::propagation;
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, filter};

use crate::server::PATIENCE;

static INSTALLED: LazyLock<Installed> = LazyLock::new(Installed::new);
static TURN: Mutex<()> = Mutex::new(());

struct Installed {
    spans: InMemorySpanExporter,
    ended: watch::Receiver<usize>,
    started: watch::Receiver<usize>,
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
            // Behind the exporter: who is woken finds the span exported.
            .with_span_processor(Count {
                started: started_tx,
                ended: ended_tx,
            })
            .build();
        global::set_tracer_provider(tracers);

        let metrics = InMemoryMetricExporterBuilder::new()
            .with_temporality(Temporality::Delta)
            .build();
        // Collects when asked to, not by the clock.
        let reader = PeriodicReader::builder(metrics.clone())
            .with_interval(Duration::from_secs(24 * 60 * 60))
            .build();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        global::set_meter_provider(meters.clone());

        propagation::set_global(propagation::from_names("tracecontext,baggage"));

        let logs = InMemoryLogExporter::default();
        let loggers = SdkLoggerProvider::builder().with_simple_exporter(logs.clone()).build();
        // The transport's own events and spans are nobody's promise.
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
        tracing::subscriber::set_global_default(subscriber).expect("nobody else sets it");

        Installed {
            spans,
            ended,
            started,
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

/// The telemetry of one test. There is one for all of a process: tests that use it take turns.
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
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("waited for {count} spans to start"))
            .unwrap();
    }

    /// Waits until `count` spans have ended, and asserts that there are no others.
    pub async fn spans(&self, count: usize) -> Vec<SpanData> {
        let mut ended = INSTALLED.ended.clone();
        let wait = ended.wait_for(|ended| *ended >= self.ended_before + count);
        let in_time = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        let spans = self.ended_spans();
        let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
        assert!(in_time, "waited for {count} spans, found {names:?}");
        assert_eq!(spans.len(), count, "{names:?}");
        assert_eq!(self.started(), count, "more spans started than ended: {names:?}");
        spans
    }

    /// Waits for the one span that ends.
    pub async fn span(&self) -> SpanData {
        self.spans(1).await.remove(0)
    }

    /// The spans that have ended so far.
    #[must_use]
    pub fn ended_spans(&self) -> Vec<SpanData> {
        INSTALLED.spans.get_finished_spans().unwrap()
    }

    /// How many spans have been started since [`start`](Self::start).
    #[must_use]
    pub fn started(&self) -> usize {
        *INSTALLED.started.borrow() - self.started_before
    }

    /// Returns the measurements since the last call.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        INSTALLED.metrics.reset();
        INSTALLED.meters.force_flush().unwrap();
        Metrics(INSTALLED.metrics.get_finished_metrics().unwrap())
    }

    /// Waits until `count` durations have been recorded, for RPCs without a span to wait for;
    /// asserts that there are no others, and that no RPC is active.
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
                // An instrument tells nobody that it has been written to.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(
            in_time,
            "waited for {count} durations, found {durations:?}, and {active:?} are active"
        );
        assert_eq!(durations.len() as u64, count, "{durations:?}");
        durations
    }

    /// The log records of the test.
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
        _ => None,
    }
}

/// A log record, as far as the tests care.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Log {
    pub event_name: Option<&'static str>,
    pub severity: Option<&'static str>,
    pub body: Option<String>,
    pub attributes: BTreeMap<String, String>,
    pub trace: Option<(TraceId, SpanId)>,
}

/// Attributes by name, each value as text: `Str("grpc")` would hide behind `Debug` what matters.
pub type Attributes = BTreeMap<String, String>;

/// The attributes of a span or of a metric point, none of them twice.
pub fn attributes<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> Attributes {
    let mut found = Attributes::new();
    for KeyValue { key, value, .. } in attributes {
        let previous = found.insert(key.to_string(), value.to_string());
        assert_eq!(previous, None, "{key} stands twice");
    }
    found
}

/// Attributes from literals.
#[must_use]
pub fn expected<const N: usize>(attributes: [(&str, &str); N]) -> Attributes {
    attributes
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The names of all instruments in a collection.
#[must_use]
pub fn instrument_names(collected: &[ResourceMetrics]) -> Vec<&str> {
    let scopes = collected.iter().flat_map(ResourceMetrics::scope_metrics);
    let mut names: Vec<_> = scopes.flat_map(ScopeMetrics::metrics).map(Metric::name).collect();
    names.sort_unstable();
    names
}

/// A collection of all instruments.
#[derive(Debug)]
pub struct Metrics(Vec<ResourceMetrics>);

impl Metrics {
    /// The instrument of this name, in the scope of otel-runtime.
    #[must_use]
    pub fn instrument(&self, name: &str) -> Option<&Metric> {
        let scopes = self.0.iter().flat_map(ResourceMetrics::scope_metrics);
        let ours = scopes.filter(|metrics| metrics.scope().name() == "otel-runtime");
        let mut found = ours
            .flat_map(ScopeMetrics::metrics)
            .filter(|metric| metric.name() == name);
        let metric = found.next();
        assert!(found.next().is_none(), "{name} stands twice");
        metric
    }

    /// The names of all instruments that have a value.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        instrument_names(&self.0)
    }

    /// The points of `rpc.server.call.duration`: attributes, count and sum.
    #[must_use]
    pub fn durations(&self) -> Vec<(Attributes, u64, f64)> {
        self.histogram("rpc.server.call.duration")
    }

    /// How many durations were recorded, whatever their attributes.
    #[must_use]
    pub fn duration_count(&self) -> u64 {
        self.durations().iter().map(|(_, count, _)| count).sum()
    }

    /// The points of `rpc.server.active_requests`.
    #[must_use]
    pub fn active_requests(&self) -> Vec<(Attributes, i64)> {
        self.sum("rpc.server.active_requests")
    }

    /// The sum of all active requests.
    #[must_use]
    pub fn active_request_count(&self) -> i64 {
        self.active_requests().iter().map(|(_, value)| value).sum()
    }

    /// The points of `rpc.client.call.duration`: attributes, count and sum.
    #[must_use]
    pub fn client_durations(&self) -> Vec<(Attributes, u64, f64)> {
        self.histogram("rpc.client.call.duration")
    }

    /// How many durations clients have recorded, whatever their attributes.
    #[must_use]
    pub fn client_duration_count(&self) -> u64 {
        self.client_durations().iter().map(|(_, count, _)| count).sum()
    }

    /// The points of `rpc.client.active_requests`.
    #[must_use]
    pub fn client_active_requests(&self) -> Vec<(Attributes, i64)> {
        self.sum("rpc.client.active_requests")
    }

    /// The sum of all active requests of clients.
    #[must_use]
    pub fn client_active_request_count(&self) -> i64 {
        self.client_active_requests().iter().map(|(_, value)| value).sum()
    }

    /// The points of a histogram that have a value: attributes, count and sum.
    fn histogram(&self, name: &str) -> Vec<(Attributes, u64, f64)> {
        let Some(metric) = self.instrument(name) else {
            return Vec::new();
        };
        let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
            panic!("not a histogram of f64: {metric:?}")
        };
        let points = histogram.data_points().filter(|point| point.count() > 0);
        points
            .map(|point| (attributes(point.attributes()), point.count(), point.sum()))
            .collect()
    }

    /// The points of an up-down counter.
    fn sum(&self, name: &str) -> Vec<(Attributes, i64)> {
        let Some(metric) = self.instrument(name) else {
            return Vec::new();
        };
        let AggregatedMetrics::I64(MetricData::Sum(sum)) = metric.data() else {
            panic!("not a sum of i64: {metric:?}")
        };
        assert!(!sum.is_monotonic());
        sum.data_points()
            .map(|point| (attributes(point.attributes()), point.value()))
            .collect()
    }
}

/// Decides the same of each span, and remembers what it was asked: name, kind and attributes.
#[derive(Clone, Debug)]
pub struct Curious {
    decision: SamplingDecision,
    /// The arguments of each decision.
    pub asked: Shared<Vec<(String, SpanKind, Attributes)>>,
}

impl Curious {
    /// Creates a sampler that has decided nothing yet.
    #[must_use]
    pub fn new(decision: SamplingDecision) -> Self {
        Curious {
            decision,
            asked: Shared::default(),
        }
    }
}

impl ShouldSample for Curious {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        kind: &SpanKind,
        found: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let asked = (name.to_owned(), kind.clone(), attributes(found));
        self.asked.lock().unwrap().push(asked);
        SamplingResult {
            decision: self.decision.clone(),
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

/// Shares a value between a test and the service it drives.
pub type Shared<T> = Arc<Mutex<T>>;
