//! A client's RPC is one CLIENT span and one duration, from the call to the end of the response.
//!
//! This holds for each kind of RPC, each outcome, and each kind of parent.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use integration_tests::client::{Kind, call, client_attributes, connect, open, read};
use integration_tests::clock::let_pass;
use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{RunningServer, serve};
use integration_tests::telemetry::{Telemetry, attributes, expected};
use opentelemetry::Context;
use opentelemetry::trace::{
    FutureExt, SpanContext, SpanId, SpanKind, Status as SpanStatus, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::Notify;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

/// The parent of the RPC in the current context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parent {
    None,
    Remote,
    Local,
    Unsampled,
}

impl Parent {
    const ALL: [Parent; 4] = [Parent::None, Parent::Remote, Parent::Local, Parent::Unsampled];

    fn context(self) -> Context {
        match self {
            Parent::None => Context::new(),
            Parent::Remote => Context::new().with_remote_span_context(stranger(TraceFlags::SAMPLED)),
            Parent::Unsampled => Context::new().with_remote_span_context(stranger(TraceFlags::NOT_SAMPLED)),
            // The parent comes from another provider, so it is not counted.
            Parent::Local => {
                let tracer = SdkTracerProvider::builder().build().tracer("of the caller");
                Context::new().with_span(tracer.start("its span"))
            }
        }
    }
}

fn stranger(flags: TraceFlags) -> SpanContext {
    let trace = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    let span = SpanId::from_hex("00f067aa0ba902b7").unwrap();
    SpanContext::new(trace, span, flags, true, TraceState::default())
}

/// A kind of RPC, and the context to call it in.
struct Case {
    telemetry: Telemetry,
    service: ScriptedService,
    server: RunningServer,
    kind: Kind,
    parent: Parent,
    context: Context,
}

impl Case {
    /// Returns each kind of RPC with each kind of parent.
    fn all() -> impl Iterator<Item = (Kind, Parent)> {
        Kind::ALL
            .into_iter()
            .flat_map(|kind| Parent::ALL.map(|parent| (kind, parent)))
    }

    /// Sets up a case with an ordinary service.
    async fn new(kind: Kind, parent: Parent) -> Self {
        let service = ScriptedService::default();
        let routes = service.routes();
        Case::with(kind, parent, service, routes).await
    }

    /// Sets up a case with a service that can fail after its reply, even for unary RPCs.
    async fn of_streams(kind: Kind, parent: Parent) -> Self {
        let service = ScriptedService::default();
        let routes = service.routes_of_streams();
        Case::with(kind, parent, service, routes).await
    }

    async fn with(kind: Kind, parent: Parent, service: ScriptedService, routes: Routes) -> Self {
        Case {
            telemetry: Telemetry::start(),
            service,
            server: serve(routes).await,
            kind,
            parent,
            context: parent.context(),
        }
    }

    async fn call(&self, text: &'static str) -> Result<usize, Status> {
        self.call_with(Request::new(text)).await
    }

    async fn call_with(&self, request: Request<&'static str>) -> Result<usize, Status> {
        let channel = connect(&self.server).await;
        call(channel, self.kind, request)
            .with_context(self.context.clone())
            .await
    }

    /// Cancels the RPC once the handler waits.
    async fn give_up(&self, text: &'static str) {
        tokio::select! {
            result = self.call(text) => panic!("it does not end: {result:?}"),
            () = self.service.waits() => {}
        }
    }

    /// Asserts that there is one span and one duration, and that both have this status code.
    ///
    /// If the RPC failed, `failed` is the expected description of the span status.
    async fn assert_recorded(&self, code: &str, failed: Option<&str>) {
        let Case { telemetry, parent, .. } = self;
        let method = self.kind.method();
        let expected_attributes = client_attributes(method, self.server.address, code, failed.map(|_| code));

        let metrics = telemetry.metrics();
        let durations = metrics.client_durations();
        let [(point, 1, seconds)] = &durations[..] else {
            panic!("{self:?}: {durations:?}")
        };
        assert_eq!(*point, expected_attributes, "{self:?}");
        let labels = expected([("rpc.system.name", "grpc"), ("rpc.method", method)]);
        let active = metrics.client_active_requests();
        assert!(active.contains(&(labels, 0)), "{self:?}: {active:?}");
        assert_eq!(metrics.client_active_request_count(), 0, "{self:?}");
        let mut names = metrics.names();
        // The series of other tests' servers stay, at 0.
        names.retain(|name| *name != "rpc.server.active_requests");
        assert_eq!(names, ["rpc.client.active_requests", "rpc.client.call.duration"]);
        assert_eq!(metrics.active_request_count(), 0);

        if *parent == Parent::Unsampled {
            telemetry.spans(0).await;
            return;
        }
        let span = telemetry.span().await;
        assert_eq!(span.name, method);
        assert_eq!(span.span_kind, SpanKind::Client);
        assert_eq!(attributes(&span.attributes), expected_attributes, "{self:?}");
        let status = failed.map_or(SpanStatus::Unset, |message| SpanStatus::error(message.to_owned()));
        assert_eq!(span.status, status, "{self:?}");
        assert_eq!(span.events.len(), 0, "{self:?}");
        assert_eq!(span.links.len(), 0, "{self:?}");
        assert_eq!(
            span.end_time.duration_since(span.start_time).unwrap(),
            Duration::from_secs_f64(*seconds),
            "{self:?}"
        );

        let caller = self.context.span().span_context().clone();
        assert_eq!(caller.is_valid(), *parent != Parent::None);
        assert_eq!(span.parent_span_id, caller.span_id(), "{self:?}");
        assert_eq!(span.parent_span_is_remote, *parent == Parent::Remote, "{self:?}");
        if *parent != Parent::None {
            assert_eq!(span.span_context.trace_id(), caller.trace_id(), "{self:?}");
        }
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} below {:?}", self.kind, self.parent)
    }
}

mod each_outcome {
    use super::*;

    #[tokio::test]
    async fn success() {
        for (kind, parent) in Case::all() {
            let case = Case::new(kind, parent).await;
            assert_eq!(case.call("hello").await.unwrap(), 1);
            case.assert_recorded("OK", None).await;
        }
    }

    #[tokio::test]
    async fn failure_before_the_response() {
        for (kind, parent) in Case::all() {
            let case = Case::new(kind, parent).await;
            assert_eq!(case.call("5").await.unwrap_err().code(), Code::NotFound);
            case.assert_recorded("NOT_FOUND", Some("as asked: 5")).await;
        }
    }

    #[tokio::test]
    async fn failure_after_a_message() {
        for (kind, parent) in Case::all() {
            let case = Case::of_streams(kind, parent).await;
            assert_eq!(case.call("later 5").await.unwrap_err().code(), Code::NotFound);
            case.assert_recorded("NOT_FOUND", Some("as asked: 5")).await;
        }
    }

    #[tokio::test]
    async fn cancelled_before_the_response() {
        for (kind, parent) in Case::all() {
            let case = Case::new(kind, parent).await;
            case.give_up("wait").await;
            case.assert_recorded("CANCELLED", Some("")).await;
        }
    }

    #[tokio::test]
    async fn cancelled_in_the_response_stream() {
        for (kind, parent) in Case::all() {
            let case = Case::of_streams(kind, parent).await;
            if kind.replies_with_a_stream() {
                let channel = connect(&case.server).await;
                let opened = open(channel, kind, Request::new("later wait")).with_context(case.context.clone());
                let mut replies = opened.await.unwrap();
                replies.message().await.unwrap().unwrap();
                // The response and a message have arrived, but the RPC has not ended.
                assert_eq!(case.telemetry.ended_spans().len(), 0);
                assert_eq!(case.telemetry.metrics().client_duration_count(), 0);
                drop(replies);
            } else {
                case.give_up("later wait").await;
            }
            case.assert_recorded("CANCELLED", Some("")).await;
        }
    }

    #[tokio::test]
    async fn deadline_exceeded() {
        for (kind, parent) in Case::all() {
            let case = Case::new(kind, parent).await;
            let mut request = Request::new("wait");
            request.set_timeout(Duration::from_millis(20));
            // tonic reports an exceeded deadline as `CANCELLED`, at both ends.
            let status = case.call_with(request).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::Cancelled, "Timeout expired"));
            case.assert_recorded("DEADLINE_EXCEEDED", Some("Timeout expired")).await;
        }
    }
}

mod deadline {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn within(text: &'static str, timeout: Duration) -> Request<&'static str> {
        let mut request = Request::new(text);
        request.set_timeout(timeout);
        request
    }

    #[tokio::test]
    async fn response_stream_dropped_after_the_deadline_is_deadline_exceeded() {
        let case = Case::new(Kind::ServerStream, Parent::None).await;
        let channel = connect(&case.server).await;
        // tonic enforces a deadline only until the response headers.
        let opened = open(channel, Kind::ServerStream, within("later wait", HOUR)).await;
        let mut replies = opened.unwrap();
        replies.message().await.unwrap().unwrap();
        let_pass(HOUR).await;
        drop(replies);
        case.assert_recorded("DEADLINE_EXCEEDED", Some("")).await;
    }

    /// A service that cancels when it is late, as servers that enforce deadlines do.
    struct Watchful {
        late: Arc<Notify>,
    }

    #[tonic::async_trait]
    impl ServerStream for Watchful {
        type CallStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

        async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
            let late = Arc::clone(&self.late);
            let end = tokio_stream::once(late).then(|late| async move {
                late.notified().await;
                Err(Status::cancelled("too late"))
            });
            Ok(Response::new(Box::pin(
                tokio_stream::once(Ok(request.into_inner())).chain(end),
            )))
        }
    }

    #[tokio::test]
    async fn cancellation_by_the_server_after_the_deadline_is_deadline_exceeded() {
        for (timeout, code) in [(HOUR, "DEADLINE_EXCEEDED"), (DAY, "CANCELLED")] {
            let late = Arc::<Notify>::default();
            let service = Watchful {
                late: Arc::clone(&late),
            };
            let routes = Routes::new(ServerStreamServer::new(service));
            let case = Case::with(Kind::ServerStream, Parent::None, ScriptedService::default(), routes).await;
            let opened = open(connect(&case.server).await, case.kind, within("", timeout)).await;
            let mut replies = opened.unwrap();
            replies.message().await.unwrap().unwrap();
            let_pass(HOUR).await;
            late.notify_one();
            let status = replies.message().await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::Cancelled, "too late"));
            case.assert_recorded(code, Some("too late")).await;
        }
    }

    #[tokio::test]
    async fn cancellation_before_the_deadline_is_cancelled() {
        let case = Case::new(Kind::Unary, Parent::None).await;
        tokio::select! {
            result = case.call_with(within("wait", HOUR)) => panic!("it does not end: {result:?}"),
            () = case.service.waits() => {}
        }
        case.assert_recorded("CANCELLED", Some("")).await;
    }
}

#[tokio::test]
async fn rpc_is_active_until_its_end() {
    let case = Case::new(Kind::ServerStream, Parent::None).await;
    let channel = connect(&case.server).await;
    let labels = expected([("rpc.system.name", "grpc"), ("rpc.method", "kinds.ServerStream/Call")]);

    let mut first = open(channel.clone(), case.kind, Request::new("hello")).await.unwrap();
    let second = open(channel, case.kind, Request::new("later wait")).await.unwrap();
    let metrics = case.telemetry.metrics();
    assert_eq!(
        metrics.instrument("rpc.client.active_requests").unwrap().unit(),
        "{request}"
    );
    assert!(metrics.client_active_requests().contains(&(labels, 2)));

    read(&mut first).await.unwrap();
    assert_eq!(case.telemetry.metrics().client_active_request_count(), 1);
    drop(second);
    assert_eq!(case.telemetry.metrics().client_active_request_count(), 0);
    case.telemetry.spans(2).await;
}

#[tokio::test]
async fn scope_and_histogram_follow_the_conventions() {
    let case = Case::new(Kind::Unary, Parent::None).await;
    case.call("hello").await.unwrap();

    let scope = case.telemetry.span().await.instrumentation_scope;
    assert_eq!(scope.name(), "otel-runtime");
    assert_eq!(scope.schema_url(), Some("https://opentelemetry.io/schemas/1.45.0"));
    let metrics = case.telemetry.metrics();
    let metric = metrics.instrument("rpc.client.call.duration").unwrap();
    assert_eq!(metric.unit(), "s");
    assert_eq!(
        metric.description(),
        "Measures the duration of an outgoing Remote Procedure Call (RPC)."
    );
}

#[tokio::test]
async fn sequential_calls_have_separate_spans() {
    let case = Case::new(Kind::Unary, Parent::None).await;
    let mut client = UnaryClient::new(connect(&case.server).await);
    for _ in 0..5 {
        client.call(Message::from("hello")).await.unwrap();
    }
    client.call(Message::from("5")).await.unwrap_err();
    let spans = case.telemetry.spans(6).await;
    let mut traces: Vec<_> = spans.iter().map(|span| span.span_context.trace_id()).collect();
    traces.sort_unstable_by_key(ToString::to_string);
    traces.dedup();
    assert_eq!(traces.len(), 6, "one is not part of the other");
    assert_eq!(case.telemetry.metrics().client_duration_count(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_have_separate_spans() {
    let case = Case::new(Kind::Unary, Parent::Remote).await;
    let client = UnaryClient::new(connect(&case.server).await);
    let calls = (0..50).map(|number| {
        let mut client = client.clone();
        let text = if number % 5 == 0 { "5" } else { "hello" };
        tokio::spawn(async move { client.call(Message::from(text)).await }.with_context(case.context.clone()))
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        let _ = call.await.unwrap();
    }
    let spans = case.telemetry.spans(50).await;
    let parent = case.context.span().span_context().span_id();
    assert!(spans.iter().all(|span| span.parent_span_id == parent));
    let mut durations: Vec<_> = case.telemetry.metrics().client_durations();
    durations.sort_by_key(|(_, count, _)| *count);
    let counts: Vec<_> = durations
        .iter()
        .map(|(point, count, _)| (point["rpc.status_code"].as_str(), *count))
        .collect();
    assert_eq!(counts, [("NOT_FOUND", 10), ("OK", 40)]);
    assert_eq!(case.telemetry.metrics().client_active_request_count(), 0);
}

#[tokio::test]
async fn call_after_a_response_is_not_a_child_of_the_first_call() {
    let case = Case::new(Kind::ServerStream, Parent::Remote).await;
    let channel = connect(&case.server).await;
    async {
        let mut first = open(channel.clone(), Kind::ServerStream, Request::new("hello"))
            .await
            .unwrap();
        read(&mut first).await.unwrap();
        // The first RPC has ended, although `first` is still alive.
        call(channel, Kind::Unary, Request::new("hello")).await.unwrap();
        drop(first);
    }
    .with_context(case.context.clone())
    .await;

    let spans = case.telemetry.spans(2).await;
    let parent = case.context.span().span_context().span_id();
    for (span, kind) in spans.iter().zip([Kind::ServerStream, Kind::Unary]) {
        assert_eq!(span.name, kind.method());
        assert_eq!(span.parent_span_id, parent);
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
    }
}
