//! Prometheus scrapes a server whose layer has all options that change metrics, and its queries
//! return the right values, also while a stream runs.

use std::collections::BTreeMap;

use integration_tests::client::{Kind, open};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve_with;
use integration_tests::telemetry::Attributes;
use otel_runtime::{RpcRequest, ServerLayer};
use otel_setup::Exporter;
use peers::prometheus::{Programs, Prometheus};
use tonic::transport::Server;
use tonic::{Code, Request};

const UNARY: &str = "kinds.Unary/Call";
const STREAM: &str = "kinds.ServerStream/Call";

fn tenant<'a>(request: &RpcRequest<'a>) -> [Option<&'a str>; 1] {
    [request.headers().get("x-tenant").and_then(|value| value.to_str().ok())]
}

fn of_tenant<T>(mut request: Request<T>, tenant: &'static str) -> Request<T> {
    request.metadata_mut().insert("x-tenant", tenant.parse().unwrap());
    request
}

/// Waits until a query has these results: the values of its labels, sorted by name, and a number.
fn wait_for(prometheus: &Prometheus, query: &str, expected: &[(&str, f64)]) {
    let table = |found: &[(Attributes, f64)]| -> BTreeMap<String, f64> {
        let labels = |labels: &Attributes| labels.values().cloned().collect::<Vec<_>>().join(" ");
        found.iter().map(|(found, value)| (labels(found), *value)).collect()
    };
    let expected: BTreeMap<String, f64> = expected
        .iter()
        .map(|(labels, value)| ((*labels).to_owned(), *value))
        .collect();
    prometheus.wait_for(query, |found| table(found) == expected);
}

// The set-up is global, so no other test of this file may set up this process.
#[tokio::test(flavor = "multi_thread")]
async fn queries_find_the_metrics_of_options() {
    let programs = Programs::install(env!("CARGO_TARGET_TMPDIR"));
    let telemetry = otel_setup::builder()
        .trace_exporters([])
        .metric_exporters([Exporter::Prometheus])
        .log_exporters([])
        .prometheus_address("127.0.0.1:0".parse().unwrap())
        .init()
        .unwrap();
    let layer = ServerLayer::new()
        .known_methods([UNARY, STREAM])
        .metric_attributes(["tenant"], tenant)
        .metric_attribute_limit(2)
        .message_counts()
        .failures(|method, code| (method == UNARY && code == Code::ResourceExhausted).then_some(true));
    let service = ScriptedService::default();
    let server = serve_with(Server::builder().layer(layer), service.routes()).await;
    let channel = server.channel().await;
    // 5 is NOT_FOUND, and 8 is RESOURCE_EXHAUSTED. Of these two, the function makes 8 a failure.
    for (tenant, text) in [
        ("acme", "0"),
        ("acme", "0"),
        ("blue", "8"),
        ("cyan", "5"),
        ("dark", "5"),
    ] {
        call_to_end(channel.clone(), UNARY, of_tenant(request(text), tenant)).await;
    }
    let mut stream = open(
        channel,
        Kind::ServerStream,
        of_tenant(Request::new("later wait"), "acme"),
    )
    .await
    .unwrap();
    stream.message().await.unwrap().unwrap();
    service.waits().await;

    let prometheus = Prometheus::start(&programs, telemetry.prometheus_address().unwrap());
    let wait_for = |query: &str, expected: &[(&str, f64)]| {
        tokio::task::block_in_place(|| wait_for(&prometheus, query, expected));
    };
    let durations = "sum by (error_type, rpc_status_code, tenant) (rpc_server_call_duration_seconds_count)";
    let unary = [
        ("OK acme", 2.0),
        ("RESOURCE_EXHAUSTED RESOURCE_EXHAUSTED blue", 1.0),
        ("NOT_FOUND _OTHER", 2.0),
    ];
    wait_for(durations, &unary);
    wait_for(
        r#"sum(rpc_server_call_duration_seconds_count{error_type!=""})"#,
        &[("", 1.0)],
    );
    // A running RPC is there while it runs.
    let active = format!(r#"sum by (tenant) (rpc_server_active_requests{{rpc_method="{STREAM}"}})"#);
    wait_for(&active, &[("acme", 1.0)]);
    let by_method = |name: &str| format!("sum by (grpc_method) (grpc_server_call_{name}_total)");
    wait_for(&by_method("started"), &[(STREAM, 1.0), (UNARY, 5.0)]);
    wait_for(&by_method("rcvd_messages"), &[(STREAM, 1.0), (UNARY, 5.0)]);
    wait_for(&by_method("sent_messages"), &[(STREAM, 1.0), (UNARY, 2.0)]);

    service.release();
    while stream.message().await.unwrap().is_some() {}
    wait_for(&by_method("sent_messages"), &[(STREAM, 2.0), (UNARY, 2.0)]);
    wait_for(&active, &[("acme", 0.0)]);
    wait_for(durations, &[&[("OK acme", 3.0)], &unary[1..]].concat());
    assert_eq!(prometheus.complaints(), Vec::<String>::new());
    telemetry.shutdown(integration_tests::server::TIMEOUT).await.unwrap();
}
