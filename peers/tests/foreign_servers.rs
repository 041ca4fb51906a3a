//! Our client calls servers in other languages, with their own instrumentation.
//!
//! Each RPC is one trace, whatever its kind and its end.

use integration_tests::client::{Kind, call, code_name, endpoint};
use integration_tests::collector::Collector;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as ForeignKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as ForeignStatus;
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::TracedChannel;
use peers::foreign::{Case, Language, attribute, spans};
use tonic::{Code, Request};

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");
const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");

/// The code and the status that a server's instrumentation records for an RPC.
type Recorded = fn(Code) -> (Code, ForeignStatus);

#[tokio::test(flavor = "multi_thread")]
async fn grpcio_and_its_instrumentation() {
    let recorded = |code| match code {
        Code::Internal => (code, ForeignStatus::Error),
        // The instrumentation records the result of the handler, which nobody receives.
        Code::Cancelled | Code::DeadlineExceeded => (Code::Ok, ForeignStatus::Unset),
        _ => (code, ForeignStatus::Unset),
    };
    make_one_trace_with_our_client(&Language::python(DIRECTORY), "server.py", recorded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_js_and_its_instrumentation() {
    let recorded = |code| match code {
        Code::Ok => (code, ForeignStatus::Unset),
        // The server sees a cancellation, not its reason.
        Code::DeadlineExceeded => (Code::Cancelled, ForeignStatus::Error),
        _ => (code, ForeignStatus::Error),
    };
    make_one_trace_with_our_client(&Language::node(DIRECTORY), "server.js", recorded).await;
}

async fn make_one_trace_with_our_client(language: &Language, program: &str, recorded: Recorded) {
    let telemetry = Telemetry::start();
    let collector = Collector::start();
    let mut server = language.start("peer", program, &[PROTO], &collector);
    let address = server.answer().parse().unwrap();
    let channel = TracedChannel::connect(endpoint(address)).await.unwrap();

    let mut calls = 0;
    for kind in Kind::ALL {
        for case in Case::all(kind) {
            println!("{kind:?}, {case:?}");
            let mut request = Request::new(case.text);
            if let Some(deadline) = case.deadline {
                request.set_timeout(deadline);
            }
            let calling = tokio::spawn(call(channel.clone(), kind, request));
            if case.last_text() == "wait" {
                assert_eq!(server.answer(), "waits");
            }
            if case.code == Code::Cancelled {
                calling.abort();
            }
            let message = match calling.await {
                Ok(got) => assert_got(case, got),
                Err(error) => {
                    assert!(error.is_cancelled() && case.code == Code::Cancelled);
                    String::new()
                }
            };
            calls += 1;
            let ours = telemetry.spans(calls).await.pop().unwrap();
            let theirs = spans(&collector, calls).pop().unwrap();
            assert_one_trace(kind, case, &ours, &theirs);
            assert_eq!(ours.status, status_of(case.code, message));
            let code = attribute(&theirs, "rpc.grpc.status_code")
                .unwrap()
                .parse::<i32>()
                .unwrap();
            let status = theirs.status.as_ref().unwrap().code();
            assert_eq!((Code::from(code), status), recorded(case.code));
        }
    }
    assert_eq!(server.end(), Vec::<String>::new());
}

/// Asserts the result of our client, and returns the status message.
fn assert_got(case: Case, got: Result<usize, tonic::Status>) -> String {
    if case.code == Code::Ok {
        assert_eq!(got.unwrap(), case.replies().len());
        return String::new();
    }
    let status = got.unwrap_err();
    match case.code {
        // tonic's timer, which makes it a cancellation, and the server's race.
        Code::DeadlineExceeded => assert!(matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded)),
        code => assert_eq!(
            (status.code(), status.message()),
            (code, &*format!("as asked: {}", case.last_text()))
        ),
    }
    status.message().to_owned()
}

/// Returns the status of a CLIENT span.
fn status_of(code: Code, message: String) -> Status {
    match code {
        Code::Ok => Status::Unset,
        _ => Status::error(message),
    }
}

/// Asserts that the server's span is the child of our CLIENT span, which has the status of the RPC.
fn assert_one_trace(kind: Kind, case: Case, client: &SpanData, server: &Span) {
    assert_eq!((&*client.name, &client.span_kind), (kind.method(), &SpanKind::Client));
    assert_eq!(client.parent_span_id, SpanId::INVALID);
    assert_eq!(attributes(&client.attributes)["rpc.status_code"], code_name(case.code));

    assert_eq!(server.kind(), ForeignKind::Server);
    let context = &client.span_context;
    assert_eq!(server.trace_id, context.trace_id().to_bytes());
    assert_eq!(server.parent_span_id, context.span_id().to_bytes());
}
