//! The attribute may stand above or below `#[async_trait]`, and beside `#[tracing::instrument]` the RPC's span is the parent.

use opentelemetry::trace::SpanId;
use otel_runtime::traced_service;
use tests::kinds::Message;
use tests::kinds::server_stream_client::ServerStreamClient;
use tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use tests::kinds::unary_client::UnaryClient;
use tests::kinds::unary_server::{Unary, UnaryServer};
use tests::server::serve;
use tests::telemetry::{Telemetry, attributes};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

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

async fn assert_is_the_instrumented_spans_parent(routes: Routes) {
    let telemetry = Telemetry::start();
    let server = serve(routes).await;
    let mut request = Request::new(Message::from("ada"));
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
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
async fn above() {
    assert_is_the_instrumented_spans_parent(Routes::new(UnaryServer::new(Above))).await;
    assert_errors_are_logged_and_recorded(Routes::new(UnaryServer::new(Above))).await;
}

#[tokio::test]
async fn below() {
    assert_is_the_instrumented_spans_parent(Routes::new(UnaryServer::new(Below))).await;
    assert_errors_are_logged_and_recorded(Routes::new(UnaryServer::new(Below))).await;
}

#[tokio::test]
async fn below_with_a_stream() {
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
