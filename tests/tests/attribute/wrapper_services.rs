//! An RPC through several annotated services in one process is a single SERVER span.
//!
//! This holds with and without the layer around them.

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::names::Nothing;
use integration_tests::names::http_cache_client::HttpCacheClient;
use integration_tests::names::http_cache_server::{HttpCache, HttpCacheServer};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::{ServerLayer, TracedStream, traced_service};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tower_layer::Layer;

type Messages = tokio_stream::Iter<std::vec::IntoIter<Result<Message, Status>>>;

struct Inner;

#[traced_service(request_headers("x-tenant"))]
#[tonic::async_trait]
impl Unary for Inner {
    #[traced(fields(added.by = "inner"))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        if request.get_ref().text.is_empty() {
            return Err(Status::internal("empty"));
        }
        Ok(Response::new(request.into_inner()))
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Inner {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let items = vec![Ok(request.into_inner()), Err(Status::data_loss("torn"))];
        Ok(Response::new(tokio_stream::iter(items)))
    }
}

/// The service that the outer one calls with its own request.
#[traced_service]
#[tonic::async_trait]
impl HttpCache for Inner {
    async fn put_kv(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
        Ok(Response::new(Nothing {}))
    }
}

struct Outer(Inner);

#[traced_service(request_headers("x-tenant"))]
#[tonic::async_trait]
impl Unary for Outer {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let question = Request::from_parts(metadata.clone(), extensions.clone(), Nothing {});
        self.0.put_kv(question).await?;
        self.0.put_kv(Request::new(Nothing {})).await?;
        Unary::call(&self.0, Request::from_parts(metadata, extensions, message)).await
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Outer {
    type CallStream = TracedStream<Messages>;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        ServerStream::call(&self.0, request).await
    }
}

/// Serves the routes without the layer, and with it.
async fn both(routes: impl Fn() -> Routes) -> [RunningServer; 2] {
    let in_layer = Server::builder().layer(ServerLayer::new());
    [serve(routes()).await, serve_with(in_layer, routes()).await]
}

fn outer() -> Routes {
    Routes::new(UnaryServer::new(Outer(Inner))).add_service(ServerStreamServer::new(Outer(Inner)))
}

#[tokio::test]
async fn unary_rpc_is_one_span() {
    for server in both(outer).await {
        let telemetry = Telemetry::start();
        let mut client = UnaryClient::new(server.channel().await);
        for text in ["hello", ""] {
            let mut request = Request::new(Message::from(text));
            request.metadata_mut().insert("x-tenant", "a".parse().unwrap());
            assert_eq!(client.call(request).await.is_err(), text.is_empty());
        }

        let spans = telemetry.spans(2).await;
        for (span, code) in spans.iter().zip(["OK", "INTERNAL"]) {
            assert_eq!(span.name, "kinds.Unary/Call");
            let found = attributes(&span.attributes);
            assert_eq!(found["rpc.status_code"], code);
            assert_eq!(found["added.by"], "inner");
            // Both services capture the header, but it is recorded once.
            assert_eq!(found["rpc.request.header.x-tenant"], r#"["a"]"#);
        }
        telemetry.durations(2).await;
    }
}

#[tokio::test]
async fn stream_is_one_span() {
    for server in both(outer).await {
        let telemetry = Telemetry::start();
        let mut client = ServerStreamClient::new(server.channel().await);
        let mut replies = client.call(Message::from("hello")).await.unwrap().into_inner();
        replies.message().await.unwrap().unwrap();
        replies.message().await.unwrap_err();

        let span = telemetry.span().await;
        assert_eq!(span.name, "kinds.ServerStream/Call");
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], "DATA_LOSS");
        telemetry.durations(1).await;
    }
}

#[tokio::test]
async fn inner_service_keeps_its_name() {
    // The inner handler received the outer request, but its own name is unaffected.
    assert_unary_rpc_through(&Outer(Inner)).await;
    let telemetry = Telemetry::start();
    Inner.put_kv(Request::new(Nothing {})).await.unwrap();
    assert_eq!(telemetry.span().await.name, "HttpCache/PutKv");
}

async fn assert_unary_rpc_through(outer: &Outer) {
    let telemetry = Telemetry::start();
    Unary::call(outer, Request::new(Message::from("hello"))).await.unwrap();
    telemetry.span().await;
}

/// A service that calls another one through its generated client and server, without a socket.
struct Gateway;

#[traced_service]
#[tonic::async_trait]
impl Unary for Gateway {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let mut client = HttpCacheClient::new(HttpCacheServer::new(Inner));
        client.put_kv(Nothing {}).await?;
        Ok(Response::new(request.into_inner()))
    }
}

#[tokio::test]
async fn call_through_a_client_has_its_own_span() {
    for server in both(|| Routes::new(UnaryServer::new(Gateway))).await {
        let telemetry = Telemetry::start();
        let mut client = UnaryClient::new(server.channel().await);
        client.call(Message::from("hello")).await.unwrap();
        assert_are_two(&telemetry, "HttpCache/PutKv").await;
    }
}

/// A method that is called only behind the inner layer.
struct InLayer;

#[traced_service]
#[tonic::async_trait]
impl HttpCache for InLayer {
    async fn put_kv(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
        Ok(Response::new(Nothing {}))
    }
}

/// Like [`Gateway`], but the called service has its own layer.
struct LayeredGateway;

#[traced_service]
#[tonic::async_trait]
impl Unary for LayeredGateway {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let server = ServerLayer::new().layer(HttpCacheServer::new(InLayer));
        HttpCacheClient::new(server).put_kv(Nothing {}).await?;
        Ok(Response::new(request.into_inner()))
    }
}

#[tokio::test]
async fn call_through_a_client_and_a_layer_has_its_own_span() {
    for server in both(|| Routes::new(UnaryServer::new(LayeredGateway))).await {
        let telemetry = Telemetry::start();
        let mut client = UnaryClient::new(server.channel().await);
        client.call(Message::from("hello")).await.unwrap();
        assert_are_two(&telemetry, "names.v1.HTTPCache/PutKV").await;
    }
}

async fn assert_are_two(telemetry: &Telemetry, inner_name: &str) {
    let spans = telemetry.spans(2).await;
    let [inner, outer] = &spans[..] else { unreachable!() };
    assert_eq!((&*outer.name, &*inner.name), ("kinds.Unary/Call", inner_name));
    assert_eq!(inner.parent_span_id, outer.span_context.span_id());
    telemetry.durations(2).await;
}
