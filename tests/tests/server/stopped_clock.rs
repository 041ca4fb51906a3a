//! tokio's clock, which a test can stop, tells whether a deadline has passed.

use std::time::Duration;

use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::own_process::in_own_process;
use integration_tests::rpc::request;
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::{serve, serve_with};
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::SpanKind;
use otel_runtime::{ClientLayer, ServerLayer};
use tonic::transport::Server;
use tower::Layer;

/// Calls with a timeout of 30 s, which passes at once, since the clock advances when all wait.
async fn call_past_its_deadline(layer: Option<ServerLayer>) {
    let telemetry = Telemetry::start();
    let routes = Annotated::routes(&ScriptedService::default());
    let server = match layer {
        Some(layer) => serve_with(Server::builder().layer(layer), routes).await,
        None => serve(routes).await,
    };
    let mut client = UnaryClient::new(ClientLayer::new("stopped").layer(server.channel().await));
    let mut request = request("wait");
    request.set_timeout(Duration::from_secs(30));
    client.call(request).await.unwrap_err();

    let mut found: Vec<_> = telemetry
        .spans(2)
        .await
        .iter()
        .map(|span| {
            (
                span.span_kind.clone(),
                attributes(&span.attributes)["rpc.status_code"].clone(),
            )
        })
        .collect();
    found.sort_by_key(|(kind, _)| *kind != SpanKind::Server);
    let exceeded = |kind| (kind, "DEADLINE_EXCEEDED".to_owned());
    assert_eq!(found, [exceeded(SpanKind::Server), exceeded(SpanKind::Client)]);
}

/// Reads a stream on behind its deadline, and returns the codes of the server and of the client.
async fn read_past_the_deadline(layer: Option<ServerLayer>, to_the_end: bool) -> [String; 2] {
    let telemetry = Telemetry::start();
    let handler = ScriptedService::default();
    let routes = Annotated::routes(&handler);
    let server = match layer {
        Some(layer) => serve_with(Server::builder().layer(layer), routes).await,
        None => serve(routes).await,
    };
    let mut client = ServerStreamClient::new(ClientLayer::new("stopped").layer(server.channel().await));
    let mut request = request("later wait");
    request.set_timeout(Duration::from_secs(30));
    let mut replies = client.call(request).await.unwrap().into_inner();
    replies.message().await.unwrap().unwrap();
    handler.waits().await;
    tokio::time::advance(Duration::from_secs(60)).await;
    if to_the_end {
        handler.release();
        while replies.message().await.unwrap().is_some() {}
    }
    drop(replies);
    let spans = telemetry.spans(2).await;
    [SpanKind::Server, SpanKind::Client].map(|kind| {
        let span = spans.iter().find(|span| span.span_kind == kind).unwrap();
        attributes(&span.attributes)["rpc.status_code"].clone()
    })
}

/// tonic's timers end with the headers of the response.
#[test]
fn a_stream_runs_on_behind_its_deadline() {
    in_own_process(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            for (to_the_end, code) in [(true, "OK"), (false, "DEADLINE_EXCEEDED")] {
                for layer in [None, Some(ServerLayer::new())] {
                    assert_eq!(read_past_the_deadline(layer, to_the_end).await, [code, code]);
                }
            }
        });
    });
}

#[test]
fn deadline_is_exceeded_with_a_stopped_clock() {
    in_own_process(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            call_past_its_deadline(None).await;
            call_past_its_deadline(Some(ServerLayer::new())).await;
        });
    });
}
