//! Places of layers, and ends that look like others: `otel-runtime/docs/other_software.md`.

use std::time::Duration;

use integration_tests::client::{Kind, call};
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Plain, ScriptedService};
use integration_tests::server::serve_with;
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::{ClientLayer, ServerLayer};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;

const RPC: &str = "kinds.Unary/Call";
const CALLS: usize = 10;

/// Makes calls of which one at a time is served, and returns how many spans tell of which code.
async fn codes(
    telemetry: &Telemetry,
    spans: usize,
    service: &ScriptedService,
    server: &integration_tests::server::RunningServer,
) -> [usize; 2] {
    let channel = server.channel().await;
    let waiting = tokio::spawn(call_to_end(channel.clone(), RPC, request("wait")));
    service.waits().await;
    for _ in 1..CALLS {
        let (_, status) = call_to_end(channel.clone(), RPC, request("")).await;
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
    service.release();
    let (_, status) = waiting.await.unwrap();
    assert_eq!(status.code(), Code::Ok);
    let spans = telemetry.spans(spans).await;
    ["OK", "RESOURCE_EXHAUSTED"].map(|code| {
        let of_code = spans
            .iter()
            .filter(|span| attributes(&span.attributes)["rpc.status_code"] == code);
        of_code.count()
    })
}

#[tokio::test]
async fn limits_inside_the_layer_are_seen() {
    let telemetry = Telemetry::start();
    let service = ScriptedService::default();
    let server = Server::builder()
        .layer(ServerLayer::new().known_methods([RPC]))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(1));
    let server = serve_with(server, Plain::routes(&service)).await;
    assert_eq!(codes(&telemetry, CALLS, &service, &server).await, [1, CALLS - 1]);
}

#[tokio::test]
async fn tonics_own_limits_are_outside_of_all_layers() {
    let telemetry = Telemetry::start();
    let service = ScriptedService::default();
    let server = Server::builder()
        .load_shed(true)
        .concurrency_limit_per_connection(1)
        .layer(ServerLayer::new().known_methods([RPC]));
    let server = serve_with(server, Plain::routes(&service)).await;
    assert_eq!(codes(&telemetry, 1, &service, &server).await, [1, 0]);
}

/// A server's own limit of time, tonic's or tower's, looks like a caller who left where it drops
/// the handler, and like an error where the layer gets it.
#[tokio::test]
async fn a_servers_own_timeout_looks_like_a_caller_who_left() {
    let soon = Duration::from_millis(20);
    let layer = || ServerLayer::new().known_methods([RPC]);
    let impatient = TimeoutLayer::new(soon);
    let routes = || Plain::routes(&ScriptedService::default());
    for (what, code, server) in [
        (
            "tonic's",
            "CANCELLED",
            serve_with(Server::builder().timeout(soon).layer(layer()), routes()).await,
        ),
        (
            "tower's around the layer",
            "CANCELLED",
            serve_with(Server::builder().layer(impatient.clone()).layer(layer()), routes()).await,
        ),
        (
            "tower's inside",
            "INTERNAL",
            serve_with(Server::builder().layer(layer()).layer(impatient), routes()).await,
        ),
    ] {
        let telemetry = Telemetry::start();
        let (_, status) = call_to_end(server.channel().await, RPC, request("wait")).await;
        assert_ne!(status.code(), Code::Ok, "{what}");
        let found = attributes(&telemetry.span().await.attributes);
        assert_eq!(found["rpc.status_code"], code, "{what}");
        assert_eq!(telemetry.durations(1).await[0]["rpc.status_code"], code, "{what}");
    }
}

struct FailsWithOk;

#[tonic::async_trait]
impl Unary for FailsWithOk {
    async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        Err(Status::ok("fine"))
    }
}

#[tokio::test]
async fn an_error_that_is_ok_is_ok_on_both_sides() {
    let telemetry = Telemetry::start();
    let server = Server::builder().layer(ServerLayer::new());
    let server = serve_with(server, Routes::new(UnaryServer::new(FailsWithOk))).await;
    let channel = tower::Layer::layer(&ClientLayer::new("here"), server.channel().await);
    let status = call(channel, Kind::Unary, Request::new("")).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "it has no message");
    for span in telemetry.spans(2).await {
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
    }
}
