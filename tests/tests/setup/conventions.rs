//! All telemetry of a program agrees with the conventions, or with our registry beside them.

mod disagreements;

use std::collections::BTreeSet;
use std::panic;
use std::time::Duration;

use integration_tests::client::{Kind, call};
use integration_tests::clock::StoppedClock;
use integration_tests::collector::{Collector, Received};
use integration_tests::conventions::{Conventions, Judge};
use integration_tests::free_address::free_address;
use integration_tests::kinds::Message;
use integration_tests::own_process::{block_on, in_own_process_with};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{RunningServer, TIMEOUT, serve, serve_with};
use otel_runtime::{ClientLayer, ServerLayer, TracedChannel};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;
use tower::Layer;

const OPT_IN: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";

/// The signals of a program that uses everything.
const ALL: [&str; 18] = [
    "event rpc.server.call.exception",
    "log record",
    "metric grpc.server.call.rcvd_total_compressed_message_size",
    "metric grpc.server.call.sent_total_compressed_message_size",
    "metric rpc.client.active_requests",
    "metric rpc.client.call.duration",
    "metric rpc.server.active_requests",
    "metric rpc.server.call.duration",
    "resource host",
    "resource os",
    "resource process",
    "resource process.runtime",
    "resource service",
    "resource service.instance",
    "resource service.namespace",
    "resource telemetry.sdk",
    "span rpc.grpc.call.client",
    "span rpc.grpc.call.server",
];
/// Signals that `rpc/dup` adds.
const LEGACY: [&str; 6] = [
    "metric rpc.client.duration",
    "metric rpc.client.request.size",
    "metric rpc.client.response.size",
    "metric rpc.server.duration",
    "metric rpc.server.request.size",
    "metric rpc.server.response.size",
];

/// Disagreements that are not ours: OpenTelemetry's detector for Rust has no creation time.
const NOT_OURS: [&str; 1] = ["resource process: process.creation.time is missing"];

/// Makes RPCs of all kinds with all ends, to servers that are instrumented in all ways.
async fn make_rpcs() {
    let service = ScriptedService::default();
    let layer = ServerLayer::new();
    let full = layer.clone().message_sizes().request_headers(["x-tenant"]);
    let full = full.response_headers(["content-type"]).response_trailers(["x-last"]);
    let all_kinds = Kind::ALL.map(Kind::method);
    let servers = [
        serve(Annotated::routes(&service)).await,
        serve_with(
            Server::builder().layer(layer.known_methods(all_kinds)),
            Plain::routes(&service),
        )
        .await,
        serve_with(Server::builder().layer(full), Annotated::routes(&service)).await,
    ];
    for server in &servers {
        call_with_each_end(server, &service).await;
    }
    let refused = Endpoint::from_shared(format!("http://{}", free_address())).unwrap();
    for target in ["greeter.example:1", "unix:/run/greeter.sock"] {
        let refused = ClientLayer::new(target).layer(refused.connect_lazy());
        call(refused, Kind::Unary, Request::new("")).await.unwrap_err();
    }
}

async fn call_with_each_end(server: &RunningServer, service: &ScriptedService) {
    let layer = ClientLayer::new("greeter.example:1").request_headers(["x-tenant"]);
    let channel = layer.response_headers(["content-type"]).layer(server.channel().await);
    let ends = ["echo", "5", "13", "panic", "torn", "later 13", "large"];
    for kind in Kind::ALL {
        for end in ends {
            let mut request = Request::new(end);
            request.metadata_mut().insert("x-tenant", "a".parse().unwrap());
            // Whatever the status is: the telemetry of all of them is judged.
            let _ = call(channel.clone(), kind, request).await;
        }
        let waiting = call(channel.clone(), kind, Request::new("wait"));
        tokio::select! { ended = waiting => panic!("{ended:?}"), () = service.waits() => {} }
        let clock = StoppedClock::stop();
        let mut late = Request::new("wait");
        late.set_timeout(Duration::from_millis(20));
        let mut late = tokio::spawn(call(channel.clone(), kind, late));
        clock.until(&mut late, service.waits()).await;
        clock.end(late).await.unwrap().unwrap_err();
    }
    for unknown in ["/kinds.Unary/Unknown", "/unknown.Service/Call"] {
        call_path(channel.clone(), unknown).await.unwrap_err();
    }
}

async fn call_path(channel: TracedChannel, path: &'static str) -> Result<(), Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let codec = ProstCodec::<Message, Message>::default();
    let request = Request::new(Message::default());
    client.unary(request, PathAndQuery::from_static(path), codec).await?;
    Ok(())
}

/// Returns all messages that a program with these calls exports.
fn exported() -> Vec<Received> {
    let collector = Collector::start();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    block_on(async {
        let builder = otel_setup::builder().service_name("shop").service_namespace("tests");
        let builder = builder.service_version("1.2.3").otlp_endpoint(collector.url());
        let telemetry = builder.init().unwrap();
        make_rpcs().await;
        tracing::info!("made");
        telemetry.shutdown(TIMEOUT).await.unwrap();
    });
    panic::set_hook(hook);
    collector.received()
}

fn judged(conventions: &Conventions, with_legacy: bool) -> (Vec<String>, BTreeSet<String>) {
    let mut judge = Judge::new(conventions, with_legacy);
    for message in exported() {
        judge.message(&message);
    }
    // Whether there is a container depends on the machine.
    judge.seen.remove("resource container");
    (judge.findings.into_iter().collect(), judge.seen)
}

#[test]
fn all_telemetry_is_in_the_conventions_or_in_our_registry() {
    in_own_process_with::<&str>(&[], || {
        let conventions = Conventions::with_registry();
        let (findings, seen) = judged(&conventions, false);
        assert_eq!(findings, NOT_OURS);
        assert_eq!(seen, BTreeSet::from(ALL.map(str::to_owned)));
    });
}

#[test]
fn legacy_telemetry_is_in_the_conventions() {
    in_own_process_with(&[(OPT_IN, "rpc/dup")], || {
        let conventions = Conventions::with_registry();
        let (findings, seen) = judged(&conventions, true);
        assert_eq!(findings, NOT_OURS);
        let all = ALL.into_iter().chain(LEGACY).map(str::to_owned);
        assert_eq!(seen, all.collect());
    });
}
