//! Captured headers and trailers: spans have the listed ones, within limits, and no others.

use std::pin::Pin;

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use integration_tests::telemetry::Telemetry;
use opentelemetry::trace::Status as SpanStatus;
use opentelemetry::{Array, StringValue, Value};
use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::codegen::http::{HeaderMap, HeaderValue};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

struct MetadataService;

fn metadata(name: &'static str, value: &'static str) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert(name, MetadataValue::from_static(value));
    metadata.insert("x-secret", MetadataValue::from_static("secret"));
    metadata
}

/// Returns metadata that exceeds the limits of captured headers in length and number.
fn much(name: &'static str) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.append(name, "x".repeat(2000).parse().unwrap());
    for _ in 0..19 {
        metadata.append(name, MetadataValue::from_static("y"));
    }
    metadata
}

fn failure() -> Status {
    Status::with_metadata(Code::Internal, "failed", metadata("x-retry-after", "7"))
}

#[traced_service(
    request_headers("x-tenant", "trace-bin"),
    response_headers("x-served-by"),
    response_trailers("x-retry-after")
)]
#[tonic::async_trait]
impl Unary for MetadataService {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        if request.get_ref().text == "fail" {
            return Err(failure());
        }
        if request.get_ref().text == "fail at length" {
            return Err(Status::with_metadata(
                Code::Internal,
                "x".repeat(5000),
                much("x-retry-after"),
            ));
        }
        let served_by = match &*request.get_ref().text {
            "much" => much("x-served-by"),
            _ => metadata("x-served-by", "north"),
        };
        Ok(Response::from_parts(
            served_by,
            request.into_inner(),
            tonic::Extensions::new(),
        ))
    }
}

#[traced_service(response_headers("x-served-by"), response_trailers("x-retry-after"))]
#[tonic::async_trait]
impl ServerStream for MetadataService {
    type CallStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn call(&self, _: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let mut response: Response<Self::CallStream> = Response::new(Box::pin(tokio_stream::once(Err(failure()))));
        *response.metadata_mut() = metadata("x-served-by", "south");
        Ok(response)
    }
}

/// Returns the attributes with captured headers.
async fn captured(telemetry: &Telemetry) -> Vec<(String, Value)> {
    let span = telemetry.span().await;
    let captured = span.attributes.into_iter().filter(|attribute| {
        let key = attribute.key.as_str();
        key.contains(".header.") || key.contains(".trailer.")
    });
    captured
        .map(|attribute| (attribute.key.to_string(), attribute.value))
        .collect()
}

fn attribute(name: &str, values: &[&'static str]) -> (String, Value) {
    let values = values.iter().map(|value| StringValue::from(*value)).collect();
    (name.to_owned(), Value::Array(Array::String(values)))
}

#[tokio::test]
async fn captures_listed_request_and_response_headers() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(MetadataService))).await;
    let mut request = Request::new(Message::from(""));
    request
        .metadata_mut()
        .append("x-tenant", MetadataValue::from_static("a"));
    request
        .metadata_mut()
        .append("x-tenant", MetadataValue::from_static("b"));
    request
        .metadata_mut()
        .insert_bin("trace-bin", MetadataValue::from_bytes(&[0, 1]));
    request
        .metadata_mut()
        .insert("authorization", MetadataValue::from_static("secret"));
    UnaryClient::new(server.channel().await).call(request).await.unwrap();

    assert_eq!(
        captured(&telemetry).await,
        [
            attribute("rpc.request.header.x-tenant", &["a", "b"]),
            attribute("rpc.request.header.trace-bin", &["AAE="]),
            attribute("rpc.response.header.x-served-by", &["north"]),
        ]
    );
}

#[tokio::test]
async fn captures_trailers_of_an_error() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(MetadataService))).await;
    UnaryClient::new(server.channel().await)
        .call(Message::from("fail"))
        .await
        .unwrap_err();
    assert_eq!(
        captured(&telemetry).await,
        [attribute("rpc.response.trailer.x-retry-after", &["7"])]
    );
}

#[tokio::test]
async fn captures_trailers_of_a_failed_stream() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(ServerStreamServer::new(MetadataService))).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    let mut replies = client.call(Message::from("")).await.unwrap().into_inner();
    replies.message().await.unwrap_err();
    assert_eq!(
        captured(&telemetry).await,
        [
            attribute("rpc.response.header.x-served-by", &["south"]),
            attribute("rpc.response.trailer.x-retry-after", &["7"]),
        ]
    );
}

/// Asserts that 16 values were captured, and of the first one 1,024 bytes.
fn is_cut(captured: &[(String, Value)], expected: &str) {
    let [(name, Value::Array(Array::String(values)))] = captured else {
        panic!("{captured:?}")
    };
    assert_eq!(name, expected);
    assert_eq!(values[0].as_str(), "x".repeat(1024));
    assert_eq!(values[1..], ["y"; 15].map(StringValue::from));
}

#[tokio::test]
async fn limits_number_and_length_of_header_values() {
    let server = serve(Routes::new(UnaryServer::new(MetadataService))).await;
    let mut client = UnaryClient::new(server.channel().await);
    {
        let telemetry = Telemetry::start();
        client.call(Message::from("much")).await.unwrap();
        is_cut(&captured(&telemetry).await, "rpc.response.header.x-served-by");
    }
    let telemetry = Telemetry::start();
    client.call(Message::from("fail at length")).await.unwrap_err();
    let span = telemetry.span().await;
    let expected = SpanStatus::error("x".repeat(4096));
    assert_eq!(span.status, expected);
}

#[tokio::test]
async fn limits_number_and_length_of_error_trailers() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(MetadataService))).await;
    let mut client = UnaryClient::new(server.channel().await);
    client.call(Message::from("fail at length")).await.unwrap_err();
    is_cut(&captured(&telemetry).await, "rpc.response.trailer.x-retry-after");
}

/// A binary value is recorded as 1,024 bytes of base64, which encode 768.
#[tokio::test]
async fn limits_number_and_length_of_binary_values() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(MetadataService))).await;
    let mut headers = HeaderMap::new();
    // The value ends with an invalid character, after the part that is captured.
    let long = format!("{}!", "A".repeat(1024));
    // Several values in one line.
    for value in [&*long, "AQ,AQ,AQ,AQ", "AQ", "AQ,AQ,AQ,AQ,AQ,AQ,AQ,AQ,AQ,AQ,AQ,AQ,AQ,AQ"] {
        headers.append("trace-bin", value.parse().unwrap());
    }
    headers.append("x-tenant", HeaderValue::from_bytes(&[0xff; 2000]).unwrap());
    let mut request = Request::new(Message::from("plain"));
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    UnaryClient::new(server.channel().await).call(request).await.unwrap();

    let found = captured(&telemetry).await;
    let [(_, text), (_, Value::Array(Array::String(binary))), _] = &found[..] else {
        panic!("{found:?}")
    };
    let encoded = StringValue::from("/".repeat(1024));
    assert_eq!(*text, Value::Array(Array::String(vec![encoded])));
    assert_eq!(binary[0].as_str(), "A".repeat(1024));
    assert_eq!(binary[1..], ["AQ=="; 15].map(StringValue::from));
}
