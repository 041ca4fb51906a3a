//! Timeouts and retries outside and inside `ClientLayer`, and the effect of their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use integration_tests::client::{Kind, call, client_attributes, endpoint};
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{RunningServer, serve};
use integration_tests::telemetry::{Shared, Telemetry, attributes};
use opentelemetry::Context;
use opentelemetry::trace::{
    FutureExt, SpanContext, SpanId, Status as SpanStatus, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use otel_runtime::ClientLayer;
use prost::Message as _;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tower::ServiceBuilder;
use tower::buffer::BufferLayer;
use tower::retry::{Policy, RetryLayer};
use tower::timeout::TimeoutLayer;

const SOON: Duration = Duration::from_millis(20);

fn layer(server: &RunningServer) -> ClientLayer {
    ClientLayer::for_endpoint(&endpoint(server.address))
}

fn channel(server: &RunningServer) -> Channel {
    endpoint(server.address).connect_lazy()
}

/// Asserts that there is one span and one duration with this outcome.
async fn assert_ended(telemetry: &Telemetry, server: &RunningServer, code: &str, error: &str, message: &'static str) {
    let span = telemetry.span().await;
    let expected = client_attributes("kinds.Unary/Call", server.address, code, Some(error));
    assert_eq!(attributes(&span.attributes), expected);
    assert_eq!(span.status, SpanStatus::error(message));
    let metrics = telemetry.metrics();
    let durations = metrics.client_durations();
    assert!(
        matches!(&durations[..], [(point, 1, _)] if *point == expected),
        "{durations:?}"
    );
    assert_eq!(metrics.client_active_request_count(), 0);
}

#[tokio::test]
async fn outer_timeout_cancels_the_rpc() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let stack = ServiceBuilder::new()
        .layer(TimeoutLayer::new(SOON))
        .layer(layer(&server))
        .service(channel(&server));
    call(stack, Kind::Unary, Request::new("wait")).await.unwrap_err();
    assert_ended(&telemetry, &server, "CANCELLED", "CANCELLED", "").await;
}

#[tokio::test]
async fn inner_timeout_fails_the_rpc() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let stack = ServiceBuilder::new()
        .layer(layer(&server))
        .layer(TimeoutLayer::new(SOON))
        .service(channel(&server));
    let status = call(stack, Kind::Unary, Request::new("wait")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unknown, "request timed out"));
    assert_ended(&telemetry, &server, "UNKNOWN", "timed_out", "request timed out").await;
}

/// A service that succeeds on the third call.
#[derive(Clone, Default)]
struct Flaky {
    asked: Arc<AtomicUsize>,
    metadata: Shared<Vec<MetadataMap>>,
}

#[tonic::async_trait]
impl Unary for Flaky {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        self.metadata.lock().unwrap().push(request.metadata().clone());
        if self.asked.fetch_add(1, Ordering::Relaxed) < 2 {
            return Err(Status::unavailable("not yet"));
        }
        Ok(Response::new(request.into_inner()))
    }
}

impl Flaky {
    /// Returns the `traceparent` of each request, and asserts that it had only one.
    fn traceparents(&self) -> Vec<String> {
        let metadata = self.metadata.lock().unwrap();
        let traceparents = metadata.iter().map(|metadata| {
            let all: Vec<_> = metadata.get_all("traceparent").iter().collect();
            assert_eq!(all.len(), 1);
            all[0].to_str().unwrap().to_owned()
        });
        traceparents.collect()
    }
}

const TEXT: &str = "hello";

/// A retry policy for `UNAVAILABLE`.
#[derive(Clone)]
struct Stubborn;

impl<R, E> Policy<http::Request<Body>, http::Response<R>, E> for Stubborn {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut http::Request<Body>,
        result: &mut Result<http::Response<R>, E>,
    ) -> Option<Self::Future> {
        let response = result.as_ref().ok()?;
        let code = Code::from_bytes(response.headers().get("grpc-status")?.as_bytes());
        (code == Code::Unavailable).then(|| std::future::ready(()))
    }

    /// Builds the request anew: a body can be read only once, but its content is known here.
    fn clone_request(&mut self, request: &http::Request<Body>) -> Option<http::Request<Body>> {
        let message = Message::from(TEXT).encode_to_vec();
        let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
        frame.extend(message);
        let mut clone = http::Request::new(Body::new(String::from_utf8(frame).unwrap()));
        *clone.method_mut() = request.method().clone();
        *clone.uri_mut() = request.uri().clone();
        *clone.version_mut() = request.version();
        *clone.headers_mut() = request.headers().clone();
        *clone.extensions_mut() = request.extensions().clone();
        Some(clone)
    }
}

fn caller() -> Context {
    let trace = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    let span = SpanId::from_hex("00f067aa0ba902b7").unwrap();
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    Context::new().with_remote_span_context(span)
}

#[tokio::test]
async fn inner_retries_are_one_rpc() {
    let telemetry = Telemetry::start();
    let service = Flaky::default();
    let server = serve(Routes::new(UnaryServer::new(service.clone()))).await;
    let stack = ServiceBuilder::new()
        .layer(layer(&server))
        .layer(RetryLayer::new(Stubborn))
        .service(channel(&server));
    let call = call(stack, Kind::Unary, Request::new(TEXT)).with_context(caller());
    call.await.unwrap();

    let span = telemetry.span().await;
    let expected = client_attributes("kinds.Unary/Call", server.address, "OK", None);
    assert_eq!(attributes(&span.attributes), expected);
    assert_eq!(telemetry.metrics().client_duration_count(), 1);
    let context = &span.span_context;
    let traceparent = format!("00-{}-{}-01", context.trace_id(), context.span_id());
    assert_eq!(service.traceparents(), vec![traceparent; 3]);
}

#[tokio::test]
async fn outer_retries_are_separate_rpcs() {
    let telemetry = Telemetry::start();
    let service = Flaky::default();
    let server = serve(Routes::new(UnaryServer::new(service.clone()))).await;
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new(Stubborn))
        .layer(layer(&server))
        .service(channel(&server));
    let call = call(stack, Kind::Unary, Request::new(TEXT)).with_context(caller());
    call.await.unwrap();

    let spans = telemetry.spans(3).await;
    let parent = caller().span().span_context().span_id();
    let (failed, unavailable) = ("UNAVAILABLE", Some("UNAVAILABLE"));
    for (span, (code, error)) in spans
        .iter()
        .zip([(failed, unavailable), (failed, unavailable), ("OK", None)])
    {
        let expected = client_attributes("kinds.Unary/Call", server.address, code, error);
        assert_eq!(attributes(&span.attributes), expected);
        assert_eq!(span.parent_span_id, parent);
    }
    let traceparents = spans.iter().map(|span| {
        let context = &span.span_context;
        format!("00-{}-{}-01", context.trace_id(), context.span_id())
    });
    assert_eq!(service.traceparents(), traceparents.collect::<Vec<_>>());
    let mut counts: Vec<_> = telemetry.metrics().client_durations();
    counts.sort_by_key(|(_, count, _)| *count);
    let counts: Vec<_> = counts
        .iter()
        .map(|(point, count, _)| (point["rpc.status_code"].as_str(), *count))
        .collect();
    assert_eq!(counts, [("OK", 1), ("UNAVAILABLE", 2)]);
}

/// `Buffer` calls the service inside from a task of its own.
#[tokio::test]
async fn buffer_outside_cuts_the_trace() {
    for (is_outside, is_cut) in [(false, false), (true, true)] {
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let trace = TraceId::from(7);
        let parent = SpanContext::new(trace, SpanId::from(7), TraceFlags::SAMPLED, true, TraceState::NONE);
        let context = Context::new().with_remote_span_context(parent);
        let buffer = BufferLayer::new(8);
        let stack = ServiceBuilder::new();
        let calling = if is_outside {
            let stack = stack.layer(buffer).layer(layer(&server)).service(channel(&server));
            call(stack, Kind::Unary, Request::new("")).with_context(context).await
        } else {
            let stack = stack.layer(layer(&server)).layer(buffer).service(channel(&server));
            call(stack, Kind::Unary, Request::new("")).with_context(context).await
        };
        calling.unwrap();
        let span = telemetry.span().await;
        assert_eq!(span.span_context.trace_id() != trace, is_cut, "{is_outside}");
    }
}
