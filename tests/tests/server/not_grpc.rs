//! `ServerLayer` does not record requests other than gRPC.
//!
//! grpc-web is recorded if the layer is inside the one that translates it.

use std::time::Duration;

use axum::routing;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve_with};
use integration_tests::telemetry::{Telemetry, attributes, expected};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use otel_runtime::ServerLayer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_web::GrpcWebLayer;

/// Echoes the content type and the body.
async fn echo(headers: axum::http::HeaderMap, body: String) -> ([(&'static str, String); 1], String) {
    let content = headers
        .get("content-type")
        .map_or("none", |content| content.to_str().unwrap());
    ([("x-content", content.to_owned())], body)
}

/// Sends a request over HTTP/1.1, and returns the whole response.
async fn post(server: &RunningServer, path: &str, content: Option<&str>, body: &[u8]) -> String {
    let content = content.map_or_else(String::new, |content| format!("content-type: {content}\r\n"));
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: greeter.example\r\nconnection: close\r\n{content}content-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body).await.unwrap();
    let mut response = Vec::new();
    let read = socket.read_to_end(&mut response);
    tokio::time::timeout(Duration::from_secs(30), read)
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

mod other_requests {
    use super::*;

    async fn serve_echo() -> RunningServer {
        let routes = Annotated::routes(&ScriptedService::default()).into_axum_router();
        let routes = Routes::from(routes.route("/echo", routing::post(echo)));
        let server = Server::builder().accept_http1(true).layer(ServerLayer::new());
        serve_with(server, routes).await
    }

    #[tokio::test]
    async fn are_not_recorded() {
        let telemetry = Telemetry::start();
        let server = serve_echo().await;
        for content in [
            None,
            Some("text/plain"),
            Some("application/json"),
            Some("application/grpc-web+proto"),
            Some("application/grpcish"),
            Some("application/grp"),
        ] {
            let response = post(&server, "/echo", content, b"hello").await;
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
            let content = content.unwrap_or("none");
            assert!(response.contains(&format!("x-content: {content}\r\n")), "{response}");
            assert!(response.contains("content-length: 5\r\n"), "{response}");
            assert!(response.ends_with("\r\n\r\nhello"), "{response}");
        }
        telemetry.spans(0).await;
        telemetry.durations(0).await;

        // On the same server, gRPC is recorded.
        call_to_end(server.channel().await, "kinds.Unary/Call", request("")).await;
        assert_eq!(telemetry.span().await.name, "kinds.Unary/Call");
        telemetry.durations(1).await;
    }

    #[tokio::test]
    async fn are_distinguished_by_content_type() {
        for content in [
            "application/grpc",
            "application/grpc+json",
            "application/grpc; charset=utf-8",
        ] {
            let telemetry = Telemetry::start();
            let server = serve_echo().await;
            let response = post(&server, "/echo", Some(content), b"hello").await;
            assert!(response.contains(&format!("x-content: {content}\r\n")), "{response}");
            assert!(response.ends_with("\r\n\r\nhello"), "{response}");
            let span = telemetry.span().await;
            assert_eq!((&*span.name, &span.span_kind), ("grpc", &SpanKind::Server));
            telemetry.durations(1).await;
        }
    }
}

mod grpc_web {
    use super::*;

    /// Returns a framed message with one text field.
    fn framed(text: &str) -> Vec<u8> {
        let text_length = u8::try_from(text.len()).unwrap();
        let message = [&[0x0a, text_length][..], text.as_bytes()].concat();
        let length = u8::try_from(message.len()).unwrap();
        [&[0, 0, 0, 0, length][..], &message].concat()
    }

    async fn is_recorded(rpc: &str, text: &str, code: Code, name: &str) {
        for routes in [Plain::routes, Annotated::routes] {
            let telemetry = Telemetry::start();
            let layer = ServerLayer::new().known_methods([rpc]);
            let server = Server::builder()
                .accept_http1(true)
                .layer(GrpcWebLayer::new())
                .layer(layer);
            let server = serve_with(server, routes(&ScriptedService::default())).await;
            let path = format!("/{rpc}");
            let response = post(&server, &path, Some("application/grpc-web+proto"), &framed(text)).await;
            let status = format!("grpc-status:{}", code as i32);
            assert!(
                response.replace("grpc-status: ", "grpc-status:").contains(&status),
                "{response}"
            );

            let error = (code != Code::Ok).then_some(name);
            let mut point = expected([
                ("rpc.system.name", "grpc"),
                ("rpc.method", rpc),
                ("rpc.status_code", name),
            ]);
            point.extend(error.map(|error| ("error.type".to_owned(), error.to_owned())));
            assert_eq!(telemetry.durations(1).await, [point.clone()]);
            let span = telemetry.span().await;
            assert_eq!((&*span.name, &span.span_kind), (rpc, &SpanKind::Server));
            let description = error.map(|_| SpanStatus::error(format!("as asked: {}", code as i32)));
            assert_eq!(span.status, description.unwrap_or(SpanStatus::Unset));
            let mut found = attributes(&span.attributes);
            found.retain(|key, _| !key.starts_with("network.peer.") && !key.starts_with("server."));
            assert_eq!(found, point);
        }
    }

    #[tokio::test]
    async fn success() {
        is_recorded("kinds.Unary/Call", "hello", Code::Ok, "OK").await;
        is_recorded("kinds.ServerStream/Call", "later hello", Code::Ok, "OK").await;
    }

    #[tokio::test]
    async fn failure() {
        is_recorded("kinds.Unary/Call", "13", Code::Internal, "INTERNAL").await;
        is_recorded("kinds.ServerStream/Call", "later 13", Code::Internal, "INTERNAL").await;
    }
}
