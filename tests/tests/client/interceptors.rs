//! Interceptors outside and inside `ClientLayer`.

use integration_tests::client::{client_attributes, connect, endpoint};
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::Status as SpanStatus;
use otel_runtime::ClientLayer;
use tonic::service::interceptor::InterceptorLayer;
use tonic::{Code, Request, Status};
use tower::ServiceBuilder;

/// An interceptor that signs requests, and rejects requests with another signature.
#[allow(clippy::unnecessary_wraps, clippy::result_large_err)]
fn sign(mut request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata_mut().insert("authorization", "ours".parse().unwrap()) {
        Some(_) => Err(Status::unauthenticated("somebody else's")),
        None => Ok(request),
    }
}

fn signed_by_another() -> Request<Message> {
    let mut request = Request::new(Message::from("hello"));
    request
        .metadata_mut()
        .insert("authorization", "theirs".parse().unwrap());
    request
}

#[tokio::test]
async fn rejection_by_an_outer_interceptor_is_not_recorded() {
    let telemetry = Telemetry::start();
    let service = ScriptedService::default();
    let server = serve(service.routes()).await;
    let mut client = UnaryClient::with_interceptor(connect(&server).await, sign);
    client.call(Message::from("hello")).await.unwrap();
    let status = client.call(signed_by_another()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);

    let span = telemetry.span().await;
    let expected = client_attributes("kinds.Unary/Call", server.address, "OK", None);
    assert_eq!(attributes(&span.attributes), expected);
    let metadata = service.only_metadata();
    assert_eq!(metadata.get("authorization").unwrap(), "ours");
    assert!(metadata.contains_key("traceparent"));
}

#[tokio::test]
async fn rejection_by_an_inner_interceptor_is_recorded() {
    let telemetry = Telemetry::start();
    let service = ScriptedService::default();
    let server = serve(service.routes()).await;
    let endpoint = endpoint(server.address);
    let channel = ServiceBuilder::new()
        .layer(ClientLayer::for_endpoint(&endpoint))
        .layer(InterceptorLayer::new(sign))
        .service(endpoint.connect_lazy());
    let mut client = UnaryClient::new(channel);
    client.call(Message::from("hello")).await.unwrap();
    let status = client.call(signed_by_another()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);

    let spans = telemetry.spans(2).await;
    let expected = client_attributes("kinds.Unary/Call", server.address, "OK", None);
    assert_eq!(attributes(&spans[0].attributes), expected);
    let code = "UNAUTHENTICATED";
    let expected = client_attributes("kinds.Unary/Call", server.address, code, Some(code));
    assert_eq!(attributes(&spans[1].attributes), expected);
    assert_eq!(spans[1].status, SpanStatus::error("somebody else's"));
    // A rejected request never left the client.
    assert_eq!(service.only_metadata().get("authorization").unwrap(), "ours");
}
