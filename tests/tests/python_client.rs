//! A client in another language, traced by OpenTelemetry's own instrumentation, and our server: one trace, whose ends fit.

use std::path::Path;

use examples::servers::Servers;
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Value, json};
use tests::python;
use tests::telemetry::{Telemetry, attributes};
use tokio::task::spawn_blocking;

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_and_our_server_make_one_trace() {
    let python = python::interpreter(env!("CARGO_TARGET_TMPDIR"));
    let telemetry = Telemetry::start();
    let servers = Servers::start().await.unwrap();
    let address = servers.route_guide().to_string();
    let calls = spawn_blocking(move || run_client(&python, &address)).await.unwrap();
    servers.stop().await.unwrap();

    let south = [
        "Shore Road, Belmar",
        "Bridge Street, Stockton",
        "Patriots Path, Mendham",
    ];
    assert_eq!(calls.len(), 3, "{calls:?}");
    let [found, listed, missing] = [&calls[0], &calls[1], &calls[2]];
    assert_eq!((&found["got"], &found["code"]), (&json!([south[2]]), &json!("OK")));
    assert_eq!((&listed["got"], &listed["code"]), (&json!(south), &json!("OK")));
    assert_eq!(
        (&missing["got"], &missing["code"]),
        (&json!("nothing to see here"), &json!("NOT_FOUND"))
    );

    // Each of the three calls is searched for, and each of the four features is given its name, by a client's call of another server.
    let spans = telemetry.spans(3 + 3 + 4 + 4).await;
    assert_one_trace(&spans, found, "routeguide.RouteGuide/GetFeature", 1);
    assert_one_trace(&spans, listed, "routeguide.RouteGuide/ListFeatures", 3);
    assert_one_trace(&spans, missing, "routeguide.RouteGuide/GetFeature", 0);
}

/// The span of the Python client is the parent of exactly one span of ours, which is the parent of those of the route guide's own calls.
fn assert_one_trace(spans: &[SpanData], call: &Value, name: &str, lookups: usize) {
    assert_eq!(call["kind"], "CLIENT");
    let trace = TraceId::from_hex(call["trace_id"].as_str().unwrap()).unwrap();
    let client = SpanId::from_hex(call["span_id"].as_str().unwrap()).unwrap();

    let [server] = &children(spans, client)[..] else {
        panic!("{name} has not one span below {call}: {spans:#?}")
    };
    assert_eq!(server.name, name);
    assert!(server.parent_span_is_remote);
    assert_server_span(server, trace, call["code"].as_str().unwrap());

    let below = children(spans, server.span_context.span_id());
    assert!(below.iter().all(|span| !span.parent_span_is_remote));
    let (calls, own): (Vec<_>, Vec<_>) = below.into_iter().partition(|span| span.span_kind == SpanKind::Client);
    assert_eq!(calls.len(), lookups);
    for call in calls {
        assert_eq!(call.name, "geocoder.Geocoder/Lookup");
        let [answer] = &children(spans, call.span_context.span_id())[..] else {
            panic!("not one span below {call:?}: {spans:#?}")
        };
        assert_eq!(answer.name, call.name);
        assert!(answer.parent_span_is_remote);
        assert_server_span(answer, trace, "OK");
    }
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].name, "search-features");
    assert_eq!(own[0].span_context.trace_id(), trace);
}

fn assert_server_span(span: &SpanData, trace: TraceId, code: &str) {
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.span_context.trace_id(), trace);
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], code);
}

fn children(spans: &[SpanData], parent: SpanId) -> Vec<&SpanData> {
    spans.iter().filter(|span| span.parent_span_id == parent).collect()
}

/// What the client tells of each of its calls.
fn run_client(python: &Path, address: &str) -> Vec<Value> {
    let output = python::output_of(python::program(python, "client.py").args([address, python::PROTO]));
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
