//! The influence of a caller's path and authority.

use integration_tests::own_process::in_own_process_async;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve_with;
use integration_tests::telemetry::{Shared, Telemetry, attributes};
use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample};
use otel_runtime::{Instrumentation, ServerLayer};
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};

use crate::caller::RPC;

#[test]
fn unknown_methods_share_one_name_in_metrics_and_spans() {
    in_own_process_async(async {
        let telemetry = Telemetry::start();
        let server = serve_with(
            Server::builder().layer(ServerLayer::new()),
            ScriptedService::default().routes(),
        )
        .await;
        let channel = server.channel().await;
        let long = "x".repeat(8000);
        let count = 200;
        for number in 0..count {
            // Include unknown methods of an existing service, and of a similar name.
            for path in [
                format!("a{number}.B/C"),
                format!("kinds.Unary/{number}"),
                format!("kinds.Unary/Call/{number}{long}"),
            ] {
                let (_, status) = call_to_end(channel.clone(), &path, request("")).await;
                assert_eq!(status.code(), Code::Unimplemented);
            }
        }
        for span in telemetry.spans(3 * count).await {
            assert_eq!(span.name, "grpc");
            let found = attributes(&span.attributes);
            assert_eq!(found["rpc.method"], "_OTHER");
            let original = &found["rpc.method_original"];
            assert!(original.len() == 256 || !original.contains(&long[..100]), "{original}");
            assert!(original.len() <= 256);
        }
        let metrics = telemetry.metrics();
        let durations = metrics.durations();
        let [(point, counted, _)] = &durations[..] else {
            panic!("{durations:?}")
        };
        assert_eq!((&*point["rpc.method"], *counted), ("_OTHER", 3 * count as u64));
        // By the conventions, this is an error of the server: alerts should exclude `_OTHER`.
        assert_eq!(point["error.type"], "UNIMPLEMENTED");
        // Series of other tests' RPCs stay, with the value 0.
        for (point, active) in metrics.active_requests() {
            assert!(["_OTHER", RPC].contains(&&*point["rpc.method"]), "{point:?}");
            assert_eq!(active, 0);
        }
    });
}

/// A sampler that records the longest span name.
#[derive(Clone, Debug, Default)]
struct Longest(Shared<String>);

impl ShouldSample for Longest {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let mut longest = self.0.lock().unwrap();
        if longest.len() < name.len() {
            name.clone_into(&mut longest);
        }
        SamplingResult {
            decision: SamplingDecision::Drop,
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}

#[tokio::test]
async fn sampler_receives_256_bytes_of_an_unknown_path() {
    let _turn = Telemetry::start();
    let sampler = Longest::default();
    let tracers = SdkTracerProvider::builder().with_sampler(sampler.clone()).build();
    let instrumentation = Instrumentation::builder().tracer_provider(&tracers).build();
    let layer = ServerLayer::new().instrumentation(instrumentation);
    let server = serve_with(Server::builder().layer(layer), ScriptedService::default().routes()).await;
    let path = format!("a.B/{}", "x".repeat(8000));
    call_to_end(server.channel().await, &path, request("")).await;
    assert_eq!(*sampler.0.lock().unwrap(), path[..256]);
}

/// A server that answers every path, such as a proxy, makes methods known.
#[tokio::test]
async fn path_longer_than_256_bytes_is_never_known() {
    // A response with a body makes a method known.
    let any = || async { ([("content-type", "application/grpc")], [0; 5]) };
    let routes = ScriptedService::default().routes().into_axum_router().fallback(any);
    // Use a separate meter provider, because the time series would appear in other tests.
    let instrumentation = Instrumentation::builder().meter_provider(&SdkMeterProvider::default());
    let layer = ServerLayer::new().instrumentation(instrumentation.build());
    let server = serve_with(Server::builder().layer(layer), Routes::from(routes)).await;
    let path = |length: usize| format!("a.B/{}", "x".repeat(length - 4));
    for (path, name) in [(path(256), path(256)), (path(257), "_OTHER".to_owned())] {
        let telemetry = Telemetry::start();
        call_to_end(server.channel().await, &path, request("")).await;
        assert_eq!(attributes(&telemetry.span().await.attributes)["rpc.method"], name);
    }
}

#[tokio::test]
async fn callers_authority_is_recorded_on_spans_only() {
    let telemetry = Telemetry::start();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        ScriptedService::default().routes(),
    )
    .await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let lying = endpoint.origin("http://bank.example:443".parse().unwrap());
    call_to_end(lying.connect().await.unwrap(), RPC, request("")).await;
    assert_eq!(
        attributes(&telemetry.span().await.attributes)["server.address"],
        "bank.example"
    );
    assert!(!format!("{:?}", telemetry.metrics()).contains("bank.example"));
    drop(telemetry);

    let telemetry = Telemetry::start();
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let lying = endpoint.origin(format!("http://{}:443", "x".repeat(8000)).parse().unwrap());
    call_to_end(lying.connect().await.unwrap(), RPC, request("")).await;
    let found = attributes(&telemetry.span().await.attributes);
    assert_eq!((found["server.address"].len(), &*found["server.port"]), (256, "443"));
}
