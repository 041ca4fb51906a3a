//! While telemetry is suppressed, as during an export, `ClientLayer` records nothing.

use integration_tests::client::{Kind, call, connect};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{RunningServer, serve};
use integration_tests::telemetry::Telemetry;
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tonic::Request;

/// Returns a context with a span, which must not be propagated.
fn caller() -> Context {
    let trace = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    let span = SpanId::from_hex("00f067aa0ba902b7").unwrap();
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    Context::new().with_remote_span_context(span)
}

async fn start() -> (Telemetry, ScriptedService, RunningServer) {
    let telemetry = Telemetry::start();
    let service = ScriptedService::default();
    let server = serve(service.routes()).await;
    (telemetry, service, server)
}

async fn assert_no_trace(telemetry: &Telemetry, service: &ScriptedService, calls: usize) {
    telemetry.spans(0).await;
    let metrics = telemetry.metrics();
    assert_eq!(metrics.client_duration_count(), 0);
    assert!(metrics.client_active_requests().iter().all(|(_, count)| *count == 0));
    let metadata = service.metadata.lock().unwrap();
    assert_eq!(metadata.len(), calls);
    assert!(
        metadata.iter().all(|metadata| !metadata.contains_key("traceparent")),
        "{metadata:?}"
    );
}

/// The guard belongs to a thread, so this test runs on one thread.
#[tokio::test]
async fn suppressed_by_a_guard() {
    let (telemetry, service, server) = start().await;
    let channel = connect(&server).await;
    {
        let _caller = caller().attach();
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        for kind in Kind::ALL {
            call(channel.clone(), kind, Request::new("hello")).await.unwrap();
            call(channel.clone(), kind, Request::new("5")).await.unwrap_err();
        }
    }
    assert_no_trace(&telemetry, &service, 8).await;

    // The suppression ends with its scope.
    call(channel, Kind::Unary, Request::new("hello")).await.unwrap();
    telemetry.span().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suppressed_in_a_task_with_the_context() {
    let (telemetry, service, server) = start().await;
    let channel = connect(&server).await;
    let tasks = Kind::ALL.map(|kind| {
        let call = call(channel.clone(), kind, Request::new("hello"));
        tokio::spawn(call.with_context(caller().with_telemetry_suppressed()))
    });
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_no_trace(&telemetry, &service, 4).await;
}

#[tokio::test]
async fn suppressed_rpc_that_is_cancelled() {
    let (telemetry, service, server) = start().await;
    let channel = connect(&server).await;
    let call = call(channel, Kind::Unary, Request::new("wait"));
    tokio::select! {
        result = call.with_context(caller().with_telemetry_suppressed()) => panic!("it does not end: {result:?}"),
        () = service.waits() => {}
    }
    assert_no_trace(&telemetry, &service, 1).await;
}
