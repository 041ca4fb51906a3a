//! `ClientLayer` around a service in the same process, without a connection.
//!
//! Client and server each record their own span.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::scripted::Plain;
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{ClientLayer, ClientService, traced_service};
use tokio_stream::Stream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tower::Layer;

/// A service that calls itself through a client, as often as the text has letters.
struct Recursive;

// Without a router, the request has no path, so the attribute needs the service name.
#[traced_service(service = "kinds.Unary")]
#[tonic::async_trait]
impl Unary for Recursive {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let mut text = request.into_inner().text;
        if text.pop().is_some() {
            return UnaryClient::new(within()).call(Message { text }).await;
        }
        Ok(Response::new(Message::from("the end")))
    }
}

/// Returns a client of the service behind tonic's router, which sets the request's path.
fn within() -> ClientService<Routes> {
    ClientLayer::new("within").layer(Routes::new(UnaryServer::new(Recursive)).prepare())
}

fn only_child(spans: &[SpanData], parent: Option<&SpanData>) -> SpanData {
    let parent = parent.map_or(opentelemetry::trace::SpanId::INVALID, |span| {
        span.span_context.span_id()
    });
    let children: Vec<_> = spans.iter().filter(|span| span.parent_span_id == parent).collect();
    assert_eq!(children.len(), 1, "{children:?}");
    children[0].clone()
}

/// Asserts that each span is the parent of the next, with kinds CLIENT and SERVER in turn.
fn assert_alternating(spans: &[SpanData]) {
    let mut parent: Option<SpanData> = None;
    for number in 0..spans.len() {
        let span = only_child(spans, parent.as_ref());
        let kind = if number % 2 == 0 {
            SpanKind::Client
        } else {
            SpanKind::Server
        };
        assert_eq!(span.span_kind, kind);
        assert_eq!(span.name, "kinds.Unary/Call");
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
        parent = Some(span);
    }
}

#[tokio::test]
async fn client_layer_around_a_generated_server() {
    let telemetry = Telemetry::start();
    let service = ClientLayer::new("within").layer(UnaryServer::new(Recursive));
    let reply = UnaryClient::new(service).call(Message::from("")).await.unwrap();
    assert_eq!(reply.into_inner().text, "the end");

    assert_alternating(&telemetry.spans(2).await);
    let metrics = telemetry.metrics();
    assert_eq!((metrics.client_duration_count(), metrics.duration_count()), (1, 1));
    assert_eq!(
        (metrics.client_active_request_count(), metrics.active_request_count()),
        (0, 0)
    );
    let [(point, ..)] = &metrics.client_durations()[..] else {
        panic!("expected one point")
    };
    assert_eq!(point["server.address"], "within");
}

#[tokio::test]
async fn recursive_calls_in_process() {
    let telemetry = Telemetry::start();
    let reply = UnaryClient::new(within()).call(Message::from("abc")).await.unwrap();
    assert_eq!(reply.into_inner().text, "the end");

    assert_alternating(&telemetry.spans(8).await);
    let metrics = telemetry.metrics();
    assert_eq!((metrics.client_duration_count(), metrics.duration_count()), (4, 4));
    assert_eq!(
        (metrics.client_active_request_count(), metrics.active_request_count()),
        (0, 0)
    );
}

#[tokio::test]
async fn recursive_calls_in_a_handler_called_over_a_socket() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(Recursive))).await;
    let channel = ClientLayer::new("outside").layer(server.channel().await);
    UnaryClient::new(channel).call(Message::from("ab")).await.unwrap();
    assert_alternating(&telemetry.spans(6).await);
}

/// A service that forwards each RPC to an uninstrumented service, and its replies as they arrive.
struct Forwards(Plain);

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Forwards {
    type CallStream = tonic::Streaming<Message>;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let behind = ClientLayer::new("behind").layer(ServerStreamServer::new(self.0.clone()));
        ServerStreamClient::new(behind).call(request.into_inner()).await
    }
}

#[tokio::test]
async fn forwarded_stream_is_recorded_by_each_service() {
    for (text, code) in [("hello", "OK"), ("5", "NOT_FOUND"), ("later 5", "NOT_FOUND")] {
        let telemetry = Telemetry::start();
        let front = ServerStreamServer::new(Forwards(Plain::default()));
        let mut client = ServerStreamClient::new(ClientLayer::new("front").layer(front));
        if let Ok(replies) = client.call(Message::from(text)).await {
            let _ = integration_tests::client::read(&mut replies.into_inner()).await;
        }
        let spans = telemetry.spans(3).await;
        let outer = only_child(&spans, None);
        let server = only_child(&spans, Some(&outer));
        let inner = only_child(&spans, Some(&server));
        for (span, kind, address) in [
            (outer, SpanKind::Client, Some("front")),
            (server, SpanKind::Server, None),
            (inner, SpanKind::Client, Some("behind")),
        ] {
            let found = attributes(&span.attributes);
            assert_eq!(span.span_kind, kind);
            assert_eq!(found.get("server.address").map(String::as_str), address);
            assert_eq!(found["rpc.status_code"], code, "{text}");
        }
    }
}

/// Asserts that the client recorded one RPC, which ended with the panic `as asked`.
async fn assert_panicked(telemetry: &Telemetry, payload: &(dyn Any + Send)) {
    assert_eq!(payload.downcast_ref(), Some(&"as asked"));
    let span = telemetry.span().await;
    let found = attributes(&span.attributes);
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_eq!(found["rpc.status_code"], "UNKNOWN");
    assert_eq!(found["error.type"], "panic");
    assert_eq!(span.status, SpanStatus::error("as asked"));
    let metrics = telemetry.metrics();
    assert_eq!(metrics.client_active_request_count(), 0);
    let [(point, 1, _)] = &metrics.client_durations()[..] else {
        panic!("expected one value")
    };
    assert_eq!(point["error.type"], "panic");
}

/// Polls a future, which may yield once, and returns the payload of its panic.
fn panic_of<F: Future>(mut future: Pin<&mut F>) -> Box<dyn Any + Send> {
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut poll = || future.as_mut().poll(&mut context).is_pending();
    let polled = std::panic::catch_unwind(AssertUnwindSafe(|| assert!(poll() && poll())));
    polled.unwrap_err()
}

#[tokio::test]
async fn panic_before_the_response_propagates() {
    let telemetry = Telemetry::start();
    let service = UnaryServer::new(Plain::default());
    let mut client = UnaryClient::new(ClientLayer::new("within").layer(service));
    let mut call = Box::pin(client.call(Message::from("panic")));
    let payload = panic_of(call.as_mut());
    assert_panicked(&telemetry, &*payload).await;
    // Dropping the future after the panic must not record another end.
    drop(call);
    telemetry.span().await;
}

#[tokio::test]
async fn panic_in_a_stream_propagates() {
    let telemetry = Telemetry::start();
    let service = ServerStreamServer::new(Plain::default());
    let mut client = ServerStreamClient::new(ClientLayer::new("within").layer(service));
    let call = client.call(Message::from("later panic")).await;
    let mut replies = call.unwrap().into_inner();
    let payload = panic_of(std::pin::pin!(async {
        while replies.message().await.unwrap().is_some() {}
    }));
    assert_panicked(&telemetry, &*payload).await;
    drop(replies);
    telemetry.span().await;
}

/// A tower service that panics in `call`.
#[derive(Clone)]
struct Explosive;

impl tower::Service<tonic::codegen::http::Request<tonic::body::Body>> for Explosive {
    type Response = tonic::codegen::http::Response<tonic::body::Body>;
    type Error = Status;
    type Future = std::future::Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: tonic::codegen::http::Request<tonic::body::Body>) -> Self::Future {
        panic!("as asked")
    }
}

#[tokio::test]
async fn panic_in_call_propagates() {
    let telemetry = Telemetry::start();
    let mut client = UnaryClient::new(ClientLayer::new("within").layer(Explosive));
    let payload = panic_of(std::pin::pin!(client.call(Message::from(""))));
    assert_panicked(&telemetry, &*payload).await;
}

/// A service whose stream items contain the current trace ID.
struct Tells;

#[tonic::async_trait]
impl ServerStream for Tells {
    type CallStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn call(&self, _: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        use tokio_stream::StreamExt as _;
        Ok(Response::new(Box::pin(tokio_stream::once(()).map(|()| {
            let id = opentelemetry::trace::get_active_span(|span| span.span_context().span_id());
            Ok(Message::from(id.to_string().as_str()))
        }))))
    }
}

#[tokio::test]
async fn stream_has_the_rpcs_context() {
    let telemetry = Telemetry::start();
    let mut client = ServerStreamClient::new(ClientLayer::new("within").layer(ServerStreamServer::new(Tells)));
    let mut replies = client.call(Message::from("")).await.unwrap().into_inner();
    let told = replies.message().await.unwrap().unwrap().text;
    integration_tests::client::read(&mut replies).await.unwrap();
    assert_eq!(told, telemetry.span().await.span_context.span_id().to_string());
}
