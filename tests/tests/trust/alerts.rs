//! The ways for a caller to raise an alert, or to hide from it.

use integration_tests::child::DrivenProcess;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{channel_to, serve_with};
use integration_tests::telemetry::Telemetry;
use otel_runtime::ServerLayer;
use tonic::Code;
use tonic::transport::{Endpoint, Server};

use crate::caller::{RPC, hostile};

#[tokio::test]
async fn impossible_deadline_counts_as_an_error() {
    let telemetry = Telemetry::start();
    let service = ScriptedService::default();
    let server = serve_with(Server::builder().layer(ServerLayer::new()), service.routes()).await;
    let mut impatient = request("wait");
    impatient.metadata_mut().insert("grpc-timeout", "1n".parse().unwrap());
    call_to_end(server.channel().await, RPC, impatient).await;
    let points = telemetry.durations(1).await;
    assert_eq!(points[0]["error.type"], "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn fake_exporter_can_hide_only_otlp_calls() {
    let telemetry = Telemetry::start();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        ScriptedService::default().routes(),
    )
    .await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let posing = endpoint.user_agent("OTel-OTLP-Exporter-Rust/0.33.1").unwrap();
    let channel = posing.connect().await.unwrap();
    call_to_end(
        channel.clone(),
        "opentelemetry.proto.collector.trace.v1.TraceService/Export",
        request(""),
    )
    .await;
    call_to_end(channel, RPC, request("")).await;
    assert_eq!(telemetry.span().await.name, RPC);
    telemetry.durations(1).await;
}

/// Malformed metadata must not let callers fill the service's log.
#[test]
fn malformed_request_writes_no_log() {
    let variables = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let (mut driven, ready) = DrivenProcess::start(env!("CARGO_BIN_EXE_driven"), &["multi_thread"], variables);
    assert_eq!(ready, "ready");
    let address = driven.send("serve").parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // Keep the request small: its log could fill the pipe, which is read only at the end.
        let many = "x,".repeat(100);
        let long = format!("key={}", "x".repeat(9000));
        let no_text = "key=%ff,%ff=1,key".repeat(5);
        for baggage in [&*many, &long, &no_text, ";;;,===", ""] {
            let lies = [
                ("baggage", baggage),
                ("traceparent", "00-x"),
                ("tracestate", "==,,="),
                ("grpc-timeout", "-1S"),
            ];
            let channel = channel_to(address).await;
            let (_, status) = call_to_end(channel, RPC, hostile(&lies)).await;
            assert_eq!(status.code(), Code::Ok);
        }
    });
    assert_eq!(driven.end(), [""; 0]);
}
