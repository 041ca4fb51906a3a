//! `#[traced_service]` above and below `#[async_trait]`, and with `#[tracing::instrument]`.
//!
//! The RPC's span is the parent of the instrumented method's span.

use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_client::BidiClient;
use integration_tests::kinds::bidi_server::{Bidi, BidiServer};
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::{SpanId, TraceId};
use otel_runtime::traced_service;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

type Messages = tokio_stream::Iter<std::vec::IntoIter<Result<Message, Status>>>;

struct Above;

#[traced_service]
#[tonic::async_trait]
impl Unary for Above {
    #[tracing::instrument(skip(self, request), err, fields(text = request.get_ref().text))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        if request.get_ref().text.is_empty() {
            return Err(Status::invalid_argument("empty"));
        }
        Ok(Response::new(request.into_inner()))
    }
}

struct Below;

#[tonic::async_trait]
#[traced_service]
impl Unary for Below {
    #[tracing::instrument(skip(self, request), err, fields(text = request.get_ref().text))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        if request.get_ref().text.is_empty() {
            return Err(Status::invalid_argument("empty"));
        }
        Ok(Response::new(request.into_inner()))
    }
}

#[tonic::async_trait]
#[traced_service]
impl ServerStream for Below {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let items: Self::CallStream =
            tokio_stream::iter(vec![Ok(request.into_inner()), Err(Status::unavailable("away"))]);
        Ok(Response::new(items))
    }
}

/// Defines a service with both kinds of streaming methods, instrumented with all options.
///
/// The arguments are the attributes of the impls, in one order or the other.
macro_rules! instrumented_streams {
    ($service:ident: $(#[$on_impl:meta])*) => {
        struct $service;

        $(#[$on_impl])*
        impl ServerStream for $service {
            type CallStream = Messages;

            #[tracing::instrument(skip(self, request), err, ret, fields(text = request.get_ref().text))]
            async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
                if request.get_ref().text.is_empty() {
                    return Err(Status::invalid_argument("empty"));
                }
                let items: Self::CallStream =
                    tokio_stream::iter(vec![Ok(request.into_inner()), Err(Status::unavailable("away"))]);
                Ok(Response::new(items))
            }
        }

        $(#[$on_impl])*
        impl Bidi for $service {
            type CallStream = Messages;

            #[tracing::instrument(skip(self, request), err(Debug), ret(level = "warn"), fields(text))]
            async fn call(&self, mut request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
                let first = request.get_mut().message().await?.unwrap_or_default();
                tracing::Span::current().record("text", &first.text);
                if first.text.is_empty() {
                    return Err(Status::invalid_argument("empty"));
                }
                Ok(Response::new(tokio_stream::iter(vec![Ok(first), Err(Status::unavailable("away"))])))
            }
        }
    };
}

instrumented_streams!(StreamsAbove: #[traced_service] #[tonic::async_trait]);
instrumented_streams!(StreamsBelow: #[tonic::async_trait] #[traced_service]);

fn with_parent<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    request
}

/// Asserts that the method's span is the child of the RPC's span, in the caller's trace.
///
/// The events of `err` or `ret` must be logged inside both.
async fn assert_instrumented_stream(telemetry: &Telemetry, name: &str, text: &str, code: &str) {
    let spans = telemetry.spans(2).await;
    let [inner, rpc] = &spans[..] else { unreachable!() };
    assert_eq!(rpc.name, *name);
    assert_eq!(rpc.parent_span_id, SpanId::from_hex("00f067aa0ba902b7").unwrap());
    assert_eq!(attributes(&rpc.attributes)["rpc.status_code"], code);
    assert_eq!(inner.name, "call");
    assert_eq!(inner.parent_span_id, rpc.span_context.span_id());
    let fields = inner.attributes.iter();
    let fields = fields.filter(|attribute| attribute.key.as_str() == "text");
    assert_eq!(fields.map(|field| field.value.to_string()).collect::<Vec<_>>(), [text]);
    for span in &spans {
        let trace = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        assert_eq!(span.span_context.trace_id(), trace);
    }
    let logs = telemetry.logs();
    let [log] = &logs[..] else { panic!("{logs:?}") };
    assert_eq!(log.trace.unwrap().0, rpc.span_context.trace_id());
    let key = if text.is_empty() { "error" } else { "return" };
    assert!(log.attributes.contains_key(key), "{log:?}");
}

async fn assert_streams_are_instrumented<S: ServerStream + Bidi>(service: impl Fn() -> S) {
    for (text, code) in [("ada", "UNAVAILABLE"), ("", "INVALID_ARGUMENT")] {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(ServerStreamServer::new(service()))).await;
        let mut client = ServerStreamClient::new(server.channel().await);
        if let Ok(replies) = client.call(with_parent(Message::from(text))).await {
            let mut replies = replies.into_inner();
            assert_eq!(replies.message().await.unwrap().unwrap().text, text);
            replies.message().await.unwrap_err();
        }
        assert_instrumented_stream(&telemetry, "kinds.ServerStream/Call", text, code).await;
        drop(telemetry);

        let telemetry = Telemetry::start();
        let server = serve(Routes::new(BidiServer::new(service()))).await;
        let mut client = BidiClient::new(server.channel().await);
        if let Ok(replies) = client.call(with_parent(tokio_stream::once(Message::from(text)))).await {
            let mut replies = replies.into_inner();
            assert_eq!(replies.message().await.unwrap().unwrap().text, text);
            replies.message().await.unwrap_err();
        }
        assert_instrumented_stream(&telemetry, "kinds.Bidi/Call", text, code).await;
    }
}

async fn assert_is_the_instrumented_spans_parent(routes: Routes) {
    let telemetry = Telemetry::start();
    let server = serve(routes).await;
    let request = with_parent(Message::from("ada"));
    UnaryClient::new(server.channel().await).call(request).await.unwrap();

    let spans = telemetry.spans(2).await;
    let [inner, rpc] = &spans[..] else { unreachable!() };
    assert_eq!(rpc.name, "kinds.Unary/Call");
    assert_eq!(rpc.parent_span_id, SpanId::from_hex("00f067aa0ba902b7").unwrap());
    assert_eq!(inner.name, "call");
    assert_eq!(inner.parent_span_id, rpc.span_context.span_id());
    assert_eq!(inner.span_context.trace_id(), rpc.span_context.trace_id());
    let fields = inner
        .attributes
        .iter()
        .filter(|attribute| attribute.key.as_str() == "text");
    assert_eq!(fields.map(|field| field.value.to_string()).collect::<Vec<_>>(), ["ada"]);
}

async fn assert_errors_are_logged_and_recorded(routes: Routes) {
    let telemetry = Telemetry::start();
    let server = serve(routes).await;
    UnaryClient::new(server.channel().await)
        .call(Message::from(""))
        .await
        .unwrap_err();

    let spans = telemetry.spans(2).await;
    assert_eq!(attributes(&spans[1].attributes)["rpc.status_code"], "INVALID_ARGUMENT");
    assert_eq!(telemetry.logs().len(), 1, "by `err`");
}

#[tokio::test]
async fn attribute_above_async_trait() {
    assert_is_the_instrumented_spans_parent(Routes::new(UnaryServer::new(Above))).await;
    assert_errors_are_logged_and_recorded(Routes::new(UnaryServer::new(Above))).await;
}

#[tokio::test]
async fn attribute_below_async_trait() {
    assert_is_the_instrumented_spans_parent(Routes::new(UnaryServer::new(Below))).await;
    assert_errors_are_logged_and_recorded(Routes::new(UnaryServer::new(Below))).await;
}

#[tokio::test]
async fn attribute_above_with_instrumented_streaming_methods() {
    assert_streams_are_instrumented(|| StreamsAbove).await;
}

#[tokio::test]
async fn attribute_below_with_instrumented_streaming_methods() {
    assert_streams_are_instrumented(|| StreamsBelow).await;
}

#[tokio::test]
async fn attribute_below_with_a_streaming_method() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(ServerStreamServer::new(Below))).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    let mut replies = client.call(Message::from("ada")).await.unwrap().into_inner();
    replies.message().await.unwrap().unwrap();
    replies.message().await.unwrap_err();

    let span = telemetry.span().await;
    assert_eq!(span.name, "kinds.ServerStream/Call");
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "UNAVAILABLE");
}
