//! An RPC that a filter excludes has no span and no metrics, even if its service is annotated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use integration_tests::coverage::RPCS;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::rpc::{call, call_to_end, request};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve_with};
use integration_tests::telemetry::Telemetry;
use otel_runtime::filter::{all, any, health_check, method, not, reflection, service, service_prefix};
use otel_runtime::{ClientLayer, Filter, RpcRequest, ServerLayer};
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::Layer;

async fn serve_filtered(filters: impl IntoIterator<Item = Filter>, routes: Routes) -> RunningServer {
    let layer = filters.into_iter().fold(ServerLayer::new(), ServerLayer::filter);
    serve_with(Server::builder().layer(layer), routes).await
}

fn none() -> Filter {
    Filter::new(|_| false)
}

async fn assert_nothing_is_recorded(telemetry: &Telemetry) {
    // No span has started or ended.
    telemetry.spans(0).await;
    telemetry.durations(0).await;
    assert_eq!(telemetry.logs(), []);
}

#[tokio::test]
async fn no_kind_or_outcome_is_recorded() {
    for routes in [Plain::routes, Annotated::routes] {
        for rpc in RPCS {
            let telemetry = Telemetry::start();
            let handler = ScriptedService::default();
            let server = serve_filtered([none()], routes(&handler)).await;
            let channel = server.channel().await;
            for (text, code) in [("", Code::Ok), ("13", Code::Internal), ("5", Code::NotFound)] {
                let (_, status) = call_to_end(channel.clone(), rpc, request(text)).await;
                assert_eq!(status.code(), code);
            }
            tokio::select! {
                reply = call(channel.clone(), rpc, request("wait")) => panic!("it does not reply: {reply:?}"),
                () = handler.waits() => {}
            }
            // The waiting RPC ends with its connection.
            let (_, status) = call_to_end(channel, rpc, request("panic")).await;
            assert_ne!(status.code(), Code::Ok);
            assert_nothing_is_recorded(&telemetry).await;
        }
    }
}

#[tokio::test]
async fn unknown_methods_are_filtered() {
    let telemetry = Telemetry::start();
    let server = serve_filtered([none()], Annotated::routes(&ScriptedService::default())).await;
    for rpc in ["kinds.Unary/Nothing", "made.Up/Call"] {
        let (_, status) = call_to_end(server.channel().await, rpc, request("")).await;
        assert_eq!(status.code(), Code::Unimplemented);
    }
    assert_nothing_is_recorded(&telemetry).await;
}

#[tokio::test]
async fn spans_of_the_handler_are_recorded() {
    let telemetry = Telemetry::start();
    let server = serve_filtered([none()], Annotated::routes(&ScriptedService::default())).await;
    let mut request = request("later span");
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    call_to_end(server.channel().await, "kinds.Bidi/Call", request).await;

    // The span is in the caller's trace, which is propagated through the filtered RPC.
    let child = telemetry.span().await;
    assert_eq!(child.name, "child");
    assert_eq!(
        child.span_context.trace_id().to_string(),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    assert_eq!(child.parent_span_id.to_string(), "00f067aa0ba902b7");
    telemetry.durations(0).await;
}

/// Calls each method once, and returns the methods that were recorded.
async fn recorded(filters: impl IntoIterator<Item = Filter>) -> Vec<String> {
    const CALLED: [&str; 8] = [
        "kinds.Unary/Call",
        "kinds.ServerStream/Call",
        "kinds.ClientStream/Call",
        "kinds.Bidi/Call",
        "grpc.health.v1.Health/Check",
        "grpc.health.v1.Health/Watch",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ];
    let telemetry = Telemetry::start();
    let layer = filters.into_iter().fold(ServerLayer::new(), ServerLayer::filter);
    let server = Server::builder().layer(layer.known_methods(CALLED));
    let server = serve_with(server, Annotated::routes(&ScriptedService::default())).await;
    let channel = server.channel().await;
    for rpc in CALLED {
        call_to_end(channel.clone(), rpc, request("")).await;
    }
    let spans = telemetry.spans(telemetry.started()).await;
    let names: Vec<String> = spans.into_iter().map(|span| span.name.into_owned()).collect();
    let mut measured = Vec::new();
    for point in telemetry.durations(names.len() as u64).await {
        measured.push(point["rpc.method"].clone());
    }
    measured.sort();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(measured, sorted);
    names
}

#[tokio::test]
async fn filters_by_service_and_method() {
    assert_eq!(recorded([service("kinds.Unary")]).await, ["kinds.Unary/Call"]);
    assert_eq!(recorded([method("kinds.Bidi/Call")]).await, ["kinds.Bidi/Call"]);
    assert_eq!(recorded([service_prefix("kinds.")]).await, RPCS);
    let health_checks = ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"];
    assert_eq!(recorded([health_check()]).await, health_checks);
    assert_eq!(recorded([not(service_prefix("grpc."))]).await, RPCS);
}

#[tokio::test]
async fn several_filters_must_all_match() {
    assert_eq!(recorded([not(health_check()), not(reflection())]).await, RPCS);
    assert_eq!(
        recorded([service_prefix("kinds."), not(method("kinds.Bidi/Call"))]).await,
        ["kinds.Unary/Call", "kinds.ServerStream/Call", "kinds.ClientStream/Call"]
    );
    assert_eq!(
        recorded([any([service("kinds.Bidi"), service("kinds.Unary")])]).await,
        ["kinds.Unary/Call", "kinds.Bidi/Call"]
    );
    assert_eq!(
        recorded([all([service("kinds.Bidi"), service("kinds.Unary")])]).await,
        [""; 0]
    );
}

#[tokio::test]
async fn a_setting_switches_both_layers() {
    for (is_on, count) in [(true, 1), (false, 0)] {
        let telemetry = Telemetry::start();
        let by_setting = Filter::new(move |_| is_on);
        let server = serve_filtered([by_setting.clone()], Annotated::routes(&ScriptedService::default())).await;
        let layer = ClientLayer::new("kinds.example:50051").filter(by_setting);
        let channel = layer.layer(server.channel().await);
        UnaryClient::new(channel).call(request("")).await.unwrap();
        telemetry.spans(2 * count).await;
        let metrics = telemetry.metrics();
        assert_eq!(
            [metrics.durations().len(), metrics.client_durations().len()],
            [count; 2]
        );
    }
}

#[tokio::test]
async fn custom_filter_receives_the_request() {
    let telemetry = Telemetry::start();
    let own = Filter::new(|request: &RpcRequest<'_>| {
        assert_eq!(request.path(), "/kinds.Unary/Call");
        assert_eq!((request.service(), request.method()), ("kinds.Unary", "Call"));
        request.headers().get("x-probe").is_none()
    });
    let server = serve_filtered([own], Annotated::routes(&ScriptedService::default())).await;
    let channel = server.channel().await;
    let mut probe = request("");
    probe.metadata_mut().insert("x-probe", "1".parse().unwrap());
    call_to_end(channel.clone(), "kinds.Unary/Call", probe).await;
    assert_nothing_is_recorded(&telemetry).await;
    call_to_end(channel, "kinds.Unary/Call", request("")).await;
    telemetry.span().await;
    telemetry.durations(1).await;
}

#[tokio::test]
async fn panicking_filter_records_the_rpc() {
    for routes in [Plain::routes, Annotated::routes] {
        let telemetry = Telemetry::start();
        let asked = Arc::new(AtomicUsize::new(0));
        let panics = {
            let asked = Arc::clone(&asked);
            Filter::new(move |_| {
                asked.fetch_add(1, Ordering::Relaxed);
                panic!("as asked")
            })
        };
        let server = serve_filtered([panics], routes(&ScriptedService::default())).await;
        let (_, status) = call_to_end(server.channel().await, "kinds.Unary/Call", request("")).await;
        assert_eq!(status.code(), Code::Ok);
        assert_eq!(telemetry.span().await.name, "kinds.Unary/Call");
        telemetry.durations(1).await;
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
