//! The influence of a caller's other headers.

use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve_with;
use integration_tests::telemetry::Telemetry;
use opentelemetry::{Array, StringValue, Value};
use otel_runtime::ServerLayer;
use tonic::Code;
use tonic::transport::Server;

use crate::caller::{PublicEndpoint, RPC, call, hostile, traceparent};

/// The default limit of hyper, below tonic, on the total size of a request's headers.
const MOST_HEADERS: usize = 16 * 1024;

#[tokio::test]
async fn unlisted_headers_are_not_recorded() {
    for public_endpoint in [
        PublicEndpoint::Nowhere,
        PublicEndpoint::OnAttribute,
        PublicEndpoint::OnLayer,
    ] {
        let telemetry = Telemetry::start();
        let secrets = [
            ("traceparent", &*traceparent("01")),
            ("authorization", "Bearer s3cret"),
            ("cookie", "session=s3cret"),
            ("x-tenant-2", "s3cret"),
            ("x-tenant", "blue"),
        ];
        let outcome = call(public_endpoint, None, hostile(&secrets)).await;
        let recorded = format!("{:?} {:?} {:?}", outcome.spans, telemetry.metrics(), telemetry.logs());
        assert!(!recorded.contains("s3cret"), "{public_endpoint:?}: {recorded}");
    }
}

#[tokio::test]
async fn listed_headers_are_limited_to_16_values_of_1024_bytes() {
    let _turn = Telemetry::start();
    let values: Vec<String> = (0..40).map(|number| format!("tenant {number}")).collect();
    let long = "x".repeat(8000);
    let mut lies = vec![("traceparent", traceparent("01")), ("x-tenant", long.clone())];
    lies.extend(values.iter().map(|value| ("x-tenant", value.clone())));
    let lies: Vec<_> = lies.iter().map(|(name, value)| (*name, &**value)).collect();
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
    let captured = outcome.spans[0]
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == "rpc.request.header.x-tenant");
    let Some(Value::Array(Array::String(captured))) = captured.map(|attribute| &attribute.value) else {
        panic!("{captured:?}")
    };
    let captured: Vec<&str> = captured.iter().map(StringValue::as_str).collect();
    assert_eq!(captured[0], &long[..1024]);
    assert_eq!(captured[1..], values[..15]);
}

#[tokio::test]
async fn request_with_too_many_headers_is_not_an_rpc() {
    let telemetry = Telemetry::start();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        ScriptedService::default().routes(),
    )
    .await;
    let value = "x".repeat(MOST_HEADERS);
    let refused = call_to_end(server.channel().await, RPC, hostile(&[("x-tenant", &value)])).await;
    assert_ne!(refused.1.code(), Code::Ok);
    call_to_end(server.channel().await, RPC, request("")).await;
    // Only the smaller request is an RPC.
    telemetry.spans(1).await;
    telemetry.durations(1).await;
}
