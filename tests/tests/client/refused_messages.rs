//! A client's RPC whose last message its codec refuses when it has all of it: the client's layer
//! does not see why the stream is dropped.

use std::pin::Pin;

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::ClientLayer;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;
use tonic::codegen::http;
use tower::Layer;

/// A service in this process: its message, and its trailers if it ends, are there at once.
async fn code(message: &'static [u8], trailers: Option<i32>) -> String {
    let telemetry = Telemetry::start();
    let service = tower::service_fn(move |_: http::Request<tonic::body::Body>| async move {
        let message = http_body::Frame::data(axum::body::Bytes::from_static(message));
        let end = trailers.map(|code| {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", code.into());
            http_body::Frame::trailers(trailers)
        });
        // Without trailers, the body does not end.
        let rest: Pin<Box<dyn Stream<Item = _> + Send>> = match end {
            Some(end) => Box::pin(tokio_stream::once(Ok(end))),
            None => Box::pin(tokio_stream::pending()),
        };
        let frames = tokio_stream::once(Ok::<_, Status>(message)).chain(rest);
        let body = tonic::body::Body::new(http_body_util::StreamBody::new(frames));
        let mut response = http::Response::new(body);
        let headers = response.headers_mut();
        headers.insert("content-type", "application/grpc".parse().unwrap());
        Ok::<_, Status>(response)
    });
    let mut client = UnaryClient::new(ClientLayer::new("here").layer(service)).max_decoding_message_size(10);
    client.call(Message::default()).await.unwrap_err();
    attributes(&telemetry.span().await.attributes)["rpc.status_code"].clone()
}

#[tokio::test]
async fn has_ended_like_a_stream_that_is_dropped() {
    for message in [&b"\0\0\0\0\x02\x0a\xff"[..], b"\0\0\0\0\x0b\x0a\x09aaaaaaaaa"] {
        for (trailers, expected) in [(None, "CANCELLED"), (Some(0), "OK"), (Some(5), "NOT_FOUND")] {
            assert_eq!(code(message, trailers).await, expected, "{message:?}, {trailers:?}");
        }
    }
}
