//! The telemetry of a test.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use otel_runtime::{Instrumentation, ServerLayer, ServerService, propagation};
use tower_layer::Layer as _;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::metrics::{RecordedMetric, RecordedMetrics};
use super::recorder::Spans;
use super::sdk::Sdk;
use super::span::{RecordedSpan, only};
use super::turn::Turn;
use super::wait::{On, wait};
use super::{balance, report};
use crate::subscriber::{Directives, Layers, StdoutLogs};
use crate::text::counted;

/// The longest wait, unless the test sets another.
const LIMIT: Duration = Duration::from_secs(5);

/// OpenTelemetry's SDK in memory, for one test or for the process.
///
/// The [module](super) has an example. Spans are sampled as with [`init`](crate::init): all of
/// them, except in a trace that the caller has not sampled.
///
/// Methods that wait do so for at most five seconds of real time, or for the
/// [`timeout`](Self::timeout), in any asynchronous runtime and whatever tokio's clock says.
#[derive(Debug)]
pub struct TestTelemetry {
    sdk: Arc<Sdk>,
    limit: Duration,
    _turn: Option<Turn>,
}

impl Default for TestTelemetry {
    fn default() -> Self {
        TestTelemetry::new()
    }
}

impl TestTelemetry {
    /// Creates telemetry of one test, with the W3C propagators. Nothing of it is global.
    #[must_use]
    pub fn new() -> Self {
        TestTelemetry::with_propagator(propagation::from_names("tracecontext,baggage"))
    }

    /// Creates telemetry of one test, with a propagator. Nothing of it is global.
    #[must_use]
    pub fn with_propagator(propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        TestTelemetry {
            sdk: Sdk::for_one_test(propagator),
            limit: LIMIT,
            _turn: None,
        }
    }

    /// Returns the telemetry of the process, with nothing recorded.
    ///
    /// Sets the global tracer provider, meter provider and propagator at the first call, which has
    /// to come before the first RPC of the process. Waits until earlier tests have dropped theirs.
    ///
    /// # Example
    ///
    /// ```
    /// use opentelemetry::global;
    /// use opentelemetry::trace::Tracer;
    /// use otel_setup::testing::TestTelemetry;
    ///
    /// let telemetry = TestTelemetry::global();
    /// global::tracer("shop").in_span("order", |_| {});
    /// assert_eq!(telemetry.ended_spans()[0].name, "order");
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the thread has another one: it would wait for itself.
    #[must_use]
    #[track_caller]
    pub fn global() -> Self {
        let turn = Turn::wait();
        TestTelemetry {
            sdk: Sdk::global(),
            limit: LIMIT,
            _turn: Some(turn),
        }
    }

    /// Sets the longest wait for spans and metrics, instead of five seconds.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Returns the instrumentation that records here, for layers and for the argument
    /// `instrumentation` of `#[traced_service]`.
    #[must_use]
    pub fn instrumentation(&self) -> Instrumentation {
        self.sdk.instrumentation.clone()
    }

    /// Wraps a service in a [`ServerLayer`] that records here.
    ///
    /// Tonic's generated clients take the result in place of a channel, so that a test needs no
    /// socket. The [module](super) has an example.
    pub fn in_process<S>(&self, service: S) -> ServerService<S> {
        let layer = ServerLayer::new().instrumentation(self.instrumentation());
        layer.layer(service)
    }

    /// Returns the tracer provider, for spans of the test's own.
    #[must_use]
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.sdk.tracers
    }

    /// Returns the meter provider, for metrics of the test's own.
    #[must_use]
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.sdk.meters
    }

    /// Returns a layer for a `tracing` subscriber, which records `tracing` spans here.
    ///
    /// As with [`init`](crate::init), these are spans of level INFO and above, without those of the
    /// transport. A test on tokio's current-thread runtime can have a subscriber of its own:
    ///
    /// ```
    /// use otel_setup::testing::TestTelemetry;
    /// use tracing_subscriber::layer::SubscriberExt;
    ///
    /// let telemetry = TestTelemetry::new();
    /// let subscriber = tracing_subscriber::registry().with(telemetry.tracing_layer());
    /// let _subscriber = tracing::subscriber::set_default(subscriber);
    /// tracing::info_span!("order").in_scope(|| {});
    /// assert_eq!(telemetry.ended_spans()[0].name, "order");
    /// ```
    #[must_use]
    pub fn tracing_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        let layers = Layers {
            tracers: Some(self.sdk.tracers.clone()),
            loggers: None,
            directives: Directives::default(),
            span_directives: Directives::default(),
            span_fields: false,
            stdout: StdoutLogs::Off,
        };
        layers.spans()
    }

    /// Waits for the SERVER span of a method to end, and returns it.
    ///
    /// The name is the method's, `helloworld.Greeter/SayHello`, or `grpc` if there is no such
    /// method.
    ///
    /// # Panics
    ///
    /// Panics if there is no such span, or another one, ended or not. The message shows the traces.
    #[track_caller]
    pub fn server_span(&self, method: &str) -> impl Future<Output = RecordedSpan> {
        self.only_span(SpanKind::Server, "SERVER span", method)
    }

    /// Waits for the CLIENT span of a method to end, and returns it.
    ///
    /// # Panics
    ///
    /// Panics if there is no such span, or another one, ended or not. The message shows the traces.
    #[track_caller]
    pub fn client_span(&self, method: &str) -> impl Future<Output = RecordedSpan> {
        self.only_span(SpanKind::Client, "CLIENT span", method)
    }

    #[track_caller]
    fn only_span(&self, kind: SpanKind, what: &str, method: &str) -> impl Future<Output = RecordedSpan> {
        let caller = Location::caller();
        let wanted = format!("{what} of {method}");
        async move {
            let is_wanted = |span: &SpanData| span.span_kind == kind && span.name == method;
            only(&self.sdk, self.limit, &wanted, caller, is_wanted).await
        }
    }

    /// Waits until this number of spans has ended, and returns them, in the order of their end.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer or more, or if others run. The message shows the traces.
    #[track_caller]
    pub fn spans(&self, count: usize) -> impl Future<Output = Vec<RecordedSpan>> {
        let caller = Location::caller();
        async move {
            let recorder = &self.sdk.recorder;
            let enough = || recorder.read(|spans| (spans.ended.len() >= count).then_some(()));
            let in_time = wait(On::Spans, recorder, self.limit, enough).await.is_some();
            let (ended, started) = recorder.read(|spans| (spans.ended.len(), spans.started()));
            if !in_time || (ended, started) != (count, count) {
                let limit = self.limit;
                let (running, spans) = (started - ended, counted(count as u64, "spans"));
                let problem = format!("expected {spans} within {limit:?}, found {ended} ended and {running} running");
                report::fail(&self.sdk, caller, &problem);
            }
            self.ended_spans()
        }
    }

    /// Waits until this number of spans has started, ended or not.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer. The message shows the traces.
    #[track_caller]
    pub fn started(&self, count: usize) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            let recorder = &self.sdk.recorder;
            let enough = || recorder.read(|spans| (spans.started() >= count).then_some(()));
            if wait(On::Spans, recorder, self.limit, enough).await.is_none() {
                let (limit, started) = (self.limit, self.started_count());
                let spans = counted(count as u64, "spans");
                let problem = format!("expected {spans} to start within {limit:?}, found {started}");
                report::fail(&self.sdk, caller, &problem);
            }
        }
    }

    /// Returns the spans that have ended so far, in the order of their end.
    #[must_use]
    pub fn ended_spans(&self) -> Vec<RecordedSpan> {
        let ended = self.sdk.recorder.read(|spans| spans.ended.clone());
        let ended = ended.into_iter();
        ended
            .map(|span| RecordedSpan::new(span, &self.sdk, self.limit))
            .collect()
    }

    /// Returns the number of spans that have started, ended or not.
    #[must_use]
    pub fn started_count(&self) -> usize {
        self.sdk.recorder.read(Spans::started)
    }

    /// Expects that this number of the running spans never ends. For the tests of otel-runtime.
    #[doc(hidden)]
    pub fn discard_spans(&self, count: usize) {
        self.sdk.recorder.discard(count);
    }

    /// Collects the metrics, and returns all that have been recorded.
    ///
    /// A call records its metrics before its span ends, so wait for the span first.
    #[must_use]
    pub fn metrics(&self) -> RecordedMetrics {
        RecordedMetrics::collect(&self.sdk)
    }

    /// Collects the metrics, and returns the data points of one.
    ///
    /// There are none if nothing has been recorded. A call records its metrics before its span
    /// ends, so wait for the span first.
    #[must_use]
    pub fn metric(&self, name: &str) -> RecordedMetric {
        self.metrics().metric(name)
    }

    /// Asserts that the telemetry of RPCs is consistent, once all spans have ended.
    ///
    /// Servers and clients must have as many durations as spans, by method, status code and
    /// `error.type`, and no active requests. An RPC that is not sampled has no span.
    ///
    /// # Panics
    ///
    /// Panics with the differences, and the traces.
    #[track_caller]
    pub fn assert_balanced(&self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move { balance::assert_balanced(&self.sdk, self.limit, caller).await }
    }

    /// Draws the recorded traces, as failed assertions show them.
    #[must_use]
    pub fn waterfall(&self) -> String {
        report::recorded(&self.sdk)
    }
}
