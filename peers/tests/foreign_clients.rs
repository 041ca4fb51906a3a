//! Clients in other languages call our server: each RPC is one trace, whatever its kind and its
//! end.

use integration_tests::client::{Kind, code_name};
use integration_tests::collector::Collector;
use integration_tests::coverage::Coverage;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::TIMEOUT;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as ForeignKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as ForeignStatus;
use opentelemetry_sdk::trace::SpanData;
use peers::foreign::{Case, Language, attribute, spans};
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::Code;

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");
const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");

#[tokio::test(flavor = "multi_thread")]
async fn grpcio_and_its_instrumentation() {
    make_one_trace_with_our_server(&Language::python(DIRECTORY), "client.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpclib_with_metadata_made_by_hand() {
    make_one_trace_with_our_server(&Language::python(DIRECTORY), "grpclib_client.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_js_and_its_instrumentation() {
    make_one_trace_with_our_server(&Language::node(DIRECTORY), "client.js").await;
}

async fn make_one_trace_with_our_server(language: &Language, program: &str) {
    let telemetry = Telemetry::start();
    let collector = Collector::start();
    let handler = ScriptedService::default();
    let server = Coverage::Both.serve(&handler).await;
    let mut client = language.start("peer", program, &[&server.address.to_string(), PROTO], &collector);

    let mut calls = 0;
    for kind in Kind::ALL {
        for case in Case::all(kind) {
            let mut answer = client.send(&case.command(kind));
            if case.last_text() == "wait" {
                timeout(TIMEOUT, handler.waits())
                    .await
                    .expect("the call reaches the server");
            }
            if case.code == Code::Cancelled {
                assert_eq!(answer, "waits");
                answer = client.send("cancel");
            }
            calls += 1;
            let ours = telemetry.spans(calls).await.pop().unwrap();
            let theirs = spans(&collector, calls).pop().unwrap();
            println!("{kind:?}, {case:?}: {answer}");
            assert_got(case, &serde_json::from_str(&answer).unwrap(), &theirs);
            assert_one_trace(kind, case, &theirs, &ours);
        }
    }
    assert_eq!(client.end(), Vec::<String>::new());
}

/// Asserts the result of the client, and the status of its span.
fn assert_got(case: Case, answer: &Value, span: &Span) {
    if case.code == Code::Ok {
        assert_eq!(answer["got"], json!(case.replies()));
    }
    if matches!(case.code, Code::NotFound | Code::Internal) {
        assert_eq!(answer["details"], format!("as asked: {}", case.last_text()));
    }
    let codes: &[Code] = match case.code {
        // The client's timer and tonic's race, and tonic's makes it a cancellation.
        Code::DeadlineExceeded => &[Code::DeadlineExceeded, Code::Cancelled],
        _ => &[case.code],
    };
    let code = codes.iter().find(|code| answer["code"] == code_name(**code));
    let code = *code.unwrap_or_else(|| panic!("{codes:?} is expected"));
    assert_eq!(attribute(span, "rpc.grpc.status_code"), Some((code as i32).to_string()));
    let status = match code {
        Code::Ok => ForeignStatus::Unset,
        _ => ForeignStatus::Error,
    };
    assert_eq!(span.status.as_ref().unwrap().code(), status);
}

/// Asserts that our SERVER span is the child of the client's, with the status of the RPC.
fn assert_one_trace(kind: Kind, case: Case, client: &Span, server: &SpanData) {
    assert_eq!(client.kind(), ForeignKind::Client);
    assert!(client.parent_span_id.is_empty());
    assert_eq!(server.span_kind, SpanKind::Server);
    assert_eq!(server.name, kind.method());
    let trace = TraceId::from_bytes(client.trace_id[..].try_into().unwrap());
    let parent = SpanId::from_bytes(client.span_id[..].try_into().unwrap());
    assert_eq!((server.span_context.trace_id(), server.parent_span_id), (trace, parent));
    assert!(server.parent_span_is_remote);

    assert_eq!(attributes(&server.attributes)["rpc.status_code"], code_name(case.code));
    let status = match case.code {
        Code::Internal => Status::error("as asked: 13"),
        Code::DeadlineExceeded => Status::error(""),
        _ => Status::Unset,
    };
    assert_eq!(server.status, status);
}
