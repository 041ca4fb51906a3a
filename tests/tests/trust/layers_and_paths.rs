//! A call that reaches a handler through a `ServerLayer` is that layer's: whatever its content type
//! is, whatever path it came by, and whatever stands in between.

mod a_method_that_calls_itself;
mod a_panic_that_another_layer_catches;
mod content_types;
mod paths;
mod two_layers;
mod unrecorded;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Telemetry, attributes, expected};
use opentelemetry::trace::{SpanId, SpanKind, Status as SpanStatus, TraceId};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{Filter, ServerLayer, traced_service};
use tonic::codegen::http;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tower::ServiceBuilder;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const RPC: &str = "kinds.Unary/Call";

/// A layer that distrusts its callers, and captures a header.
fn public() -> ServerLayer {
    ServerLayer::new().public_endpoint().request_headers(["x-tenant"])
}

fn filtering() -> ServerLayer {
    public().filter(Filter::new(|request| request.service() != "kinds.Unary"))
}

/// A request of a stranger, who claims a trace.
fn strangers(text: &str) -> Request<Message> {
    let mut request = Request::new(Message::from(text));
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", traceparent.parse().unwrap());
    metadata.insert("x-tenant", "acme".parse().unwrap());
    request
}

/// Calls a server below `prefix`, with this `content-type`.
async fn call(
    server: &RunningServer,
    prefix: &str,
    content_type: Option<&'static str>,
    text: &str,
) -> Result<(), Status> {
    let channel = ServiceBuilder::new()
        .map_request(move |mut request: http::Request<tonic::body::Body>| {
            match content_type {
                Some(content_type) => {
                    let content_type = http::HeaderValue::from_static(content_type);
                    request.headers_mut().insert("content-type", content_type);
                }
                None => drop(request.headers_mut().remove("content-type")),
            }
            request
        })
        .service(server.channel().await);
    let origin = format!("http://{}{prefix}", server.address).parse().unwrap();
    UnaryClient::with_origin(channel, origin).call(strangers(text)).await?;
    Ok(())
}

/// Asserts that there is one span and one duration, of a stranger's call.
async fn assert_is_public(telemetry: &Telemetry, what: &str) {
    let span = telemetry.span().await;
    assert_eq!((&*span.name, &span.span_kind), (RPC, &SpanKind::Server), "{what}");
    assert_eq!(span.parent_span_id, SpanId::INVALID, "{what}");
    assert_ne!(
        span.span_context.trace_id(),
        TraceId::from_hex(TRACE).unwrap(),
        "{what}"
    );
    let links: Vec<_> = span.links.iter().map(|link| link.span_context.trace_id()).collect();
    assert_eq!(links, [TraceId::from_hex(TRACE).unwrap()], "{what}");
    let found = attributes(&span.attributes);
    assert_eq!(found["rpc.method"], RPC, "{what}");
    assert_eq!(found["rpc.status_code"], "OK", "{what}");
    assert_eq!(found.get("rpc.method_original"), None, "{what}");
    assert_eq!(found["rpc.request.header.x-tenant"], r#"["acme"]"#, "{what}");
    let point = expected([
        ("rpc.system.name", "grpc"),
        ("rpc.method", RPC),
        ("rpc.status_code", "OK"),
    ]);
    assert_eq!(telemetry.durations(1).await, [point], "{what}");
}

async fn assert_is_filtered(telemetry: &Telemetry, what: &str) {
    let spans = telemetry.spans(0).await;
    assert_eq!(spans.len(), 0, "{what}");
    telemetry.durations(0).await;
}

type MakeRoutes = fn(&ScriptedService) -> Routes;

const ROUTES: [(&str, MakeRoutes); 2] = [("annotated", Annotated::routes), ("plain", Plain::routes)];
