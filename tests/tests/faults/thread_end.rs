//! A call in a thread-local is dropped as its thread ends, after the thread's current context.

use std::any::Any;
use std::cell::RefCell;
use std::future::pending;
use std::panic;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use integration_tests::kinds::server_stream_server::ServerStream;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::in_own_process_async;
use integration_tests::rpc::request;
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::{ClientLayer, LoggedCalls, ServerLayer, task};
use otel_setup::testing::TestTelemetry;
use tonic::codegen::{Service, http};
use tower::Layer;
use tracing_subscriber::fmt::format::FmtSpan;

thread_local! {
    static HELD: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Holds a value until the thread ends. Called before all else, so that it is dropped last.
fn hold<T: 'static>(make: impl FnOnce() -> T) {
    HELD.with(|held| {
        drop(held.replace(Some(Box::new(()))));
        let value = make();
        drop(held.replace(Some(Box::new(value))));
    });
}

/// Polls a future once.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn polled<F: Future + Unpin>(mut future: F) -> F {
    assert!(poll_once(&mut future).is_pending());
    future
}

fn http_request() -> http::Request<tonic::body::Body> {
    let request = http::Request::builder().uri("/kinds.Unary/Call");
    let request = request.header("content-type", "application/grpc");
    request.body(tonic::body::Body::empty()).unwrap()
}

fn annotated() -> &'static Annotated {
    Box::leak(Box::new(Annotated(ScriptedService::default())))
}

/// Returns a stream that has started and not ended.
fn stream() -> impl Send + use<> {
    let call = async { ServerStream::call(annotated(), request("later wait")).await };
    let Poll::Ready(Ok(response)) = poll_once(call) else {
        panic!("the stream starts at once")
    };
    response
}

/// Each kind of value that carries a call, and the number of calls that it carries.
const CASES: [(&str, usize, fn()); 7] = [
    ("a started handler", 1, || {
        hold(|| polled(Unary::call(annotated(), request("wait"))));
    }),
    ("a response stream", 1, || hold(stream)),
    ("a response stream of another thread", 1, || {
        let made = thread::spawn(stream).join().unwrap();
        hold(|| made);
    }),
    ("a future of the server's layer", 1, || {
        let mut service = ServerLayer::new().layer(UnaryServer::new(Plain(ScriptedService::default())));
        hold(|| Box::pin(service.call(http_request())));
    }),
    ("a body of the server's layer", 1, || {
        let mut service = ServerLayer::new().layer(tower::service_fn(async |_: http::Request<tonic::body::Body>| {
            Ok::<_, tonic::Status>(http::Response::new(tonic::body::Body::new(Endless)))
        }));
        hold(|| poll_once(service.call(http_request())));
    }),
    ("a call of a client", 1, || {
        let silent = tower::service_fn(async |_: http::Request<tonic::body::Body>| {
            pending::<Result<http::Response<tonic::body::Body>, tonic::Status>>().await
        });
        let mut client = UnaryClient::new(ClientLayer::new("silent").layer(silent));
        hold(|| polled(Box::pin(async move { client.call(request("")).await })));
    }),
    ("a task's future", 0, || {
        hold(|| polled(Box::pin(task::in_current_context(pending::<()>()))));
    }),
];

/// A body without an end.
struct Endless;

impl http_body::Body for Endless {
    type Data = tonic::codegen::Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        Poll::Pending
    }
}

#[test]
fn calls_are_cancelled_and_nothing_panics() {
    let output = in_own_process_async(async {
        for (case, calls, start) in CASES {
            let telemetry = Telemetry::start();
            assert!(thread::spawn(start).join().is_ok(), "{case}");
            for span in telemetry.spans(calls).await {
                assert_eq!(attributes(&span.attributes)["rpc.status_code"], "CANCELLED", "{case}");
            }
            let metrics = telemetry.metrics();
            let durations = [metrics.durations(), metrics.client_durations()].concat();
            assert_eq!(durations.len(), calls, "{case}");
            for (duration, count, _) in durations {
                assert_eq!(
                    (duration["rpc.status_code"].as_str(), count),
                    ("CANCELLED", 1),
                    "{case}"
                );
            }
        }
    });
    if let Some(output) = output {
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    }
}

/// Returns a layer whose calls have a `tracing` span and an event at their end.
fn logging() -> ServerLayer {
    let layer = ServerLayer::new().known_methods(["kinds.Unary/Call"]);
    layer.tracing_span().log_calls(LoggedCalls::All).message_counts()
}

const LOGGING: [(&str, fn()); 2] = [
    ("a future", || {
        let mut service = logging().layer(UnaryServer::new(Plain(ScriptedService::default())));
        hold(|| Box::pin(service.call(http_request())));
    }),
    ("a body", || {
        let mut service = logging().layer(tower::service_fn(async |_: http::Request<tonic::body::Body>| {
            Ok::<_, tonic::Status>(http::Response::new(tonic::body::Body::new(Endless)))
        }));
        hold(|| poll_once(service.call(http_request())));
    }),
];

/// The buffer of a `fmt` layer is gone by then, so that a line panics.
#[test]
fn a_subscriber_that_panics_then_does_not_abort_the_process() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    in_own_process_async(async {
        let lines = tracing_subscriber::fmt().with_span_events(FmtSpan::FULL).finish();
        tracing::subscriber::set_global_default(lines).unwrap();
        panic::set_hook(Box::new(|panic| {
            eprintln!("{panic}");
            PANICS.fetch_add(1, Ordering::Relaxed);
        }));
        for (case, start) in LOGGING {
            let telemetry = TestTelemetry::global();
            let before = PANICS.load(Ordering::Relaxed);
            assert!(thread::spawn(start).join().is_ok(), "{case}");
            assert!(PANICS.load(Ordering::Relaxed) > before, "{case}: nothing panics");
            let span = telemetry.server_span("kinds.Unary/Call").await;
            span.assert_attribute("rpc.status_code", "CANCELLED");
            telemetry.assert_balanced().await;
        }
    });
}
