//! A unary RPC is one SERVER span with the attributes of the conventions.

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes, expected};
use opentelemetry::trace::{SpanKind, Status as SpanStatus, TraceId};
use otel_runtime::traced_service;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

struct Echo;

#[traced_service]
#[tonic::async_trait]
impl Unary for Echo {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        match request.get_ref().text.as_str() {
            "missing" => Err(Status::not_found("nothing of that name")),
            "broken" => Err(Status::internal("the disk is full")),
            _ => Ok(Response::new(request.into_inner())),
        }
    }
}

#[tokio::test]
async fn successful_rpc_has_all_attributes() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(Echo))).await;
    let port = server.address.port().to_string();

    let reply = UnaryClient::new(server.channel().await)
        .call(Message::from("hello"))
        .await
        .unwrap();
    assert_eq!(reply.into_inner().text, "hello");

    let span = telemetry.span().await;
    assert_eq!(span.name, "kinds.Unary/Call");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.status, SpanStatus::Unset);
    assert_ne!(span.span_context.trace_id(), TraceId::INVALID);
    assert_eq!(span.events.len(), 0);
    assert_eq!(span.links.len(), 0);
    assert!(span.start_time <= span.end_time);

    let mut found = attributes(&span.attributes);
    let peer_port: u16 = found.remove("network.peer.port").unwrap().parse().unwrap();
    assert!(peer_port != 0 && peer_port != server.address.port());
    assert_eq!(
        found,
        expected([
            ("rpc.system.name", "grpc"),
            ("rpc.method", "kinds.Unary/Call"),
            ("rpc.status_code", "OK"),
            ("server.address", "127.0.0.1"),
            ("server.port", &port),
            ("network.peer.address", "127.0.0.1"),
        ])
    );
}

#[tokio::test]
async fn scope_has_name_version_and_schema_url() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(Echo))).await;
    UnaryClient::new(server.channel().await)
        .call(Message::from("hello"))
        .await
        .unwrap();

    let scope = telemetry.span().await.instrumentation_scope;
    assert_eq!(scope.name(), "otel-runtime");
    assert_eq!(scope.version(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(scope.schema_url(), Some("https://opentelemetry.io/schemas/1.45.0"));
    assert_eq!(scope.attributes().count(), 0);
}

#[tokio::test]
async fn client_error_does_not_fail_the_server_span() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(Echo))).await;
    let status = UnaryClient::new(server.channel().await)
        .call(Message::from("missing"))
        .await
        .unwrap_err();
    assert_eq!(status.message(), "nothing of that name");

    let span = telemetry.span().await;
    assert_eq!(span.status, SpanStatus::Unset);
    let found = attributes(&span.attributes);
    assert_eq!(found["rpc.status_code"], "NOT_FOUND");
    assert!(!found.contains_key("error.type"));
}

#[tokio::test]
async fn server_error_sets_the_span_status() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(Echo))).await;
    UnaryClient::new(server.channel().await)
        .call(Message::from("broken"))
        .await
        .unwrap_err();

    let span = telemetry.span().await;
    assert_eq!(span.status, SpanStatus::error("the disk is full"));
    let found = attributes(&span.attributes);
    assert_eq!(found["rpc.status_code"], "INTERNAL");
    assert_eq!(found["error.type"], "INTERNAL");
    // A returned status is not recorded as an exception event.
    assert_eq!(span.events.len(), 0);
    assert_eq!(telemetry.logs(), []);
}

#[tokio::test]
async fn handler_called_directly_has_rust_names() {
    // Use another service: other tests may have registered the names of `Echo`'s methods.
    struct Direct;

    #[traced_service]
    #[tonic::async_trait]
    impl Unary for Direct {
        async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
            Ok(Response::new(request.into_inner()))
        }
    }

    let telemetry = Telemetry::start();
    Direct.call(Request::new(Message::from("hello"))).await.unwrap();

    let span = telemetry.span().await;
    assert_eq!(span.name, "Unary/Call");
    assert_eq!(
        attributes(&span.attributes),
        expected([
            ("rpc.system.name", "grpc"),
            ("rpc.method", "Unary/Call"),
            ("rpc.status_code", "OK")
        ])
    );
}
