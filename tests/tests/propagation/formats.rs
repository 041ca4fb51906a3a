//! The formats of older fleets over a socket, and which one counts if several disagree.

use std::collections::BTreeMap;

use integration_tests::bridge::lines;
use integration_tests::client::{Kind, call, endpoint};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve_with;
use integration_tests::telemetry::Telemetry;
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, propagation::TextMapPropagator};
use otel_runtime::propagation::{self, Carrier};
use otel_runtime::{ClientLayer, Instrumentation, ServerLayer};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::Server;
use tonic::{Request, metadata::KeyAndValueRef};
use tower_layer::Layer;

/// `OpenCensus`'s binary encoding of a span: `trace` and `span` repeated.
fn binary(trace: u8, span: u8, options: u8) -> Vec<u8> {
    [&[0, 0][..], &[trace; 16], &[1], &[span; 8], &[2, options]].concat()
}

/// Sends a request to a server with this list of propagators, as an uninstrumented client.
///
/// Returns trace id, parent id and flags of the server's span.
async fn received(names: &str, metadata: MetadataMap) -> (String, String, u8) {
    let telemetry = Telemetry::start();
    let propagator = propagation::from_names(names);
    let layer = ServerLayer::new().instrumentation(Instrumentation::builder().propagator(propagator).build());
    let server = serve_with(Server::builder().layer(layer), ScriptedService::default().routes()).await;
    let mut request = Request::new("hello");
    *request.metadata_mut() = metadata;
    call(server.channel().await, Kind::Unary, request).await.unwrap();
    let span = telemetry.span().await;
    (
        span.span_context.trace_id().to_string(),
        span.parent_span_id.to_string(),
        span.span_context.trace_flags().to_u8(),
    )
}

/// Returns the metadata of a request, by a client with this list of propagators, and its span.
async fn sent(names: &str) -> (MetadataMap, SpanContext) {
    let telemetry = Telemetry::start();
    let service = ScriptedService::default();
    let server = serve_with(Server::builder(), service.routes()).await;
    let propagator = propagation::from_names(names);
    let layer =
        ClientLayer::new("greeter.example").instrumentation(Instrumentation::builder().propagator(propagator).build());
    let channel = layer.layer(endpoint(server.address).connect().await.unwrap());
    let caller = SpanContext::new(7.into(), 7.into(), TraceFlags::new(3), true, TraceState::NONE);
    let _caller = Context::new().with_remote_span_context(caller).attach();
    call(channel, Kind::Unary, Request::new("hello")).await.unwrap();
    let span = telemetry.span().await;
    assert_eq!(span.span_kind, SpanKind::Client);
    (service.only_metadata(), span.span_context)
}

#[tokio::test]
async fn grpc_trace_bin_is_received() {
    let ab = ("ab".repeat(16), "cd".repeat(8), 3);
    let mut metadata = MetadataMap::new();
    metadata.insert_bin("grpc-trace-bin", MetadataValue::from_bytes(&binary(0xab, 0xcd, 3)));
    assert_eq!(received("grpc-trace-bin", metadata.clone()).await, ab);
    metadata.insert(
        "traceparent",
        format!("00-{}-{}-01", "12".repeat(16), "34".repeat(8)).parse().unwrap(),
    );
    assert_eq!(received("tracecontext,grpc-trace-bin", metadata.clone()).await, ab);
    let w3c = ("12".repeat(16), "34".repeat(8), 1);
    assert_eq!(received("grpc-trace-bin,tracecontext", metadata.clone()).await, w3c);
    metadata.insert("traceparent", "00-invalid".parse().unwrap());
    assert_eq!(received("grpc-trace-bin,tracecontext", metadata).await, ab);
}

#[tokio::test]
async fn grpc_trace_bin_is_sent() {
    for (names, count) in [("grpc-trace-bin", 1), ("grpc-trace-bin,tracecontext", 2)] {
        let (metadata, span) = sent(names).await;
        let value = metadata.get_bin("grpc-trace-bin").unwrap().to_bytes().unwrap();
        let ids = (span.trace_id().to_bytes(), span.span_id().to_bytes());
        let expected = [&[0, 0][..], &ids.0, &[1], &ids.1, &[2, 3]].concat();
        assert_eq!(&value[..], expected);
        let headers = metadata.iter().filter(|pair| match pair {
            KeyAndValueRef::Ascii(key, _) => key.as_str().starts_with("trace"),
            KeyAndValueRef::Binary(..) => true,
        });
        assert_eq!(headers.count(), count, "{metadata:?}");
    }
}

#[tokio::test]
async fn ottrace_is_received_and_sent() {
    let mut metadata = MetadataMap::new();
    for (name, value) in [
        ("ot-tracer-traceid", "64fe8b2a57d3eff7"),
        ("ot-tracer-spanid", "e457b5a2e4d86bd1"),
        ("ot-tracer-sampled", "true"),
    ] {
        metadata.insert(name, value.parse().unwrap());
    }
    let expected = (
        "000000000000000064fe8b2a57d3eff7".to_owned(),
        "e457b5a2e4d86bd1".to_owned(),
        1,
    );
    assert_eq!(received("ottrace", metadata).await, expected);
    let (metadata, span) = sent("ottrace,tracecontext").await;
    assert_eq!(lines(&metadata, "ot-tracer-traceid"), ["0000000000000007"]);
    assert_eq!(lines(&metadata, "ot-tracer-spanid"), [span.span_id().to_string()]);
    assert_eq!(lines(&metadata, "ot-tracer-sampled"), ["true"]);
    assert_eq!(lines(&metadata, "traceparent").len(), 1);
}

/// A header of each format, each with a trace of its own.
fn formats() -> BTreeMap<&'static str, (&'static str, String, u8)> {
    let id = |digit: u8| (format!("{digit:x}").repeat(32), format!("{digit:x}").repeat(16));
    let bin: &[u8] = &binary(0x55, 0x55, 1);
    let bin = MetadataValue::from_bytes(bin);
    let bin = String::from_utf8(bin.as_encoded_bytes().to_vec()).unwrap();
    [
        (
            "tracecontext",
            "traceparent",
            format!("00-{}-{}-01", id(1).0, id(1).1),
            1,
        ),
        ("b3", "b3", format!("{}-{}-1", id(2).0, id(2).1), 2),
        ("jaeger", "uber-trace-id", format!("{}:{}:0:1", id(3).0, id(3).1), 3),
        ("gcp", "x-cloud-trace-context", format!("{}/1;o=1", id(4).0), 4),
        ("grpc-trace-bin", "grpc-trace-bin", bin, 5),
        (
            "xray",
            "x-amzn-trace-id",
            format!("Root=1-66666666-{};Parent={};Sampled=1", "6".repeat(24), id(6).1),
            6,
        ),
    ]
    .into_iter()
    .map(|(name, header, value, trace)| (name, (header, value, trace)))
    .collect()
}

#[test]
fn the_last_valid_format_in_the_list_wins() {
    let formats = formats();
    let extracted = |list: &[&str], invalid: Option<&str>| {
        let mut headers = http_headers();
        for name in list {
            let (header, value, _) = &formats[name];
            let value = if invalid == Some(name) {
                "invalid"
            } else {
                value.as_str()
            };
            headers.insert(*header, value.parse().unwrap());
        }
        let propagator = propagation::from_names(&list.join(","));
        let context = propagator.extract_with_context(&Context::new(), &headers.extractor());
        context.span().span_context().trace_id().to_string()
    };
    for first in formats.keys() {
        for last in formats.keys().filter(|last| *last != first) {
            let trace_of = |name: &str| format!("{:x}", formats[name].2).repeat(32);
            assert_eq!(extracted(&[first, last], None), trace_of(last), "{first},{last}");
            assert_eq!(extracted(&[first, last], Some(last)), trace_of(first), "{first},{last}");
        }
    }
}

fn http_headers() -> tonic::codegen::http::HeaderMap {
    tonic::codegen::http::HeaderMap::new()
}
