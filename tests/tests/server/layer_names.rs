//! `ServerLayer` records the names of known methods, and learns methods from responses.

use integration_tests::coverage::RPCS;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve_with};
use integration_tests::telemetry::{RecordingSampler, Telemetry, attributes};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SamplingDecision, SdkTracerProvider};
use otel_runtime::{Instrumentation, ServerLayer};
use tonic::service::Routes;
use tonic::transport::Server;

const RPC: &str = "kinds.Unary/Call";

/// The names of a span: span name, `rpc.method` and `rpc.method_original`.
type Named = (String, String, Option<String>);

fn known(rpc: &str) -> Named {
    (rpc.to_owned(), rpc.to_owned(), None)
}

fn other(path: &str) -> Named {
    ("grpc".to_owned(), "_OTHER".to_owned(), Some(path.to_owned()))
}

/// Calls with each text in turn, and returns the names of spans, and those given to the sampler.
async fn names(layer: ServerLayer, routes: Routes, rpc: &str, texts: &[&str]) -> (Vec<Named>, Vec<Option<String>>) {
    let telemetry = Telemetry::start();
    let sampler = RecordingSampler::new(SamplingDecision::RecordAndSample);
    let exporter = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder()
        .with_sampler(sampler.clone())
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = layer.instrumentation(Instrumentation::builder().tracer_provider(&tracers).build());
    let server = serve_with(Server::builder().layer(layer), routes).await;
    call_each(&server, rpc, texts).await;

    let points = telemetry.durations(texts.len() as u64).await;
    let mut spans = Vec::new();
    for span in exporter.get_finished_spans().unwrap() {
        // `attributes` asserts that no key is duplicated.
        let mut found = attributes(&span.attributes);
        let method = found.remove("rpc.method").unwrap();
        spans.push((span.name.into_owned(), method, found.remove("rpc.method_original")));
    }
    let mut of_points: Vec<_> = points.iter().map(|point| &*point["rpc.method"]).collect();
    let mut of_spans: Vec<_> = spans.iter().map(|(_, method, _)| &**method).collect();
    of_points.sort_unstable();
    of_spans.sort_unstable();
    assert_eq!(of_points, of_spans);

    let asked = sampler.decisions.lock().unwrap();
    let asked = asked.iter().map(|(name, kind, attributes)| {
        assert_eq!((&**name, kind), (rpc, &SpanKind::Server));
        assert_eq!(attributes["rpc.system.name"], "grpc");
        assert_eq!(attributes["server.address"], "127.0.0.1");
        assert_eq!(attributes["server.port"], server.address.port().to_string());
        attributes.get("rpc.method").cloned()
    });
    (spans, asked.collect())
}

async fn call_each(server: &RunningServer, rpc: &str, texts: &[&str]) {
    let channel = server.channel().await;
    for text in texts {
        call_to_end(channel.clone(), rpc, request(text)).await;
    }
}

#[tokio::test]
async fn annotated_method_is_known_from_its_first_rpc() {
    for rpc in RPCS {
        for texts in [["", ""], ["13", "13"]] {
            let routes = Annotated::routes(&ScriptedService::default());
            let (spans, asked) = names(ServerLayer::new(), routes, rpc, &texts).await;
            assert_eq!(spans, [known(rpc), known(rpc)]);
            assert_eq!(asked, [None, Some(rpc.to_owned())]);
        }
    }
}

#[tokio::test]
async fn registered_method_is_known_to_the_sampler_of_its_first_rpc() {
    for told in ["kinds.Unary/Call", "/kinds.Unary/Call"] {
        for routes in [Plain::routes, Annotated::routes] {
            let layer = ServerLayer::new().known_methods([told]);
            let (spans, asked) = names(layer, routes(&ScriptedService::default()), RPC, &["", "13"]).await;
            assert_eq!(spans, [known(RPC), known(RPC)]);
            assert_eq!(asked, [Some(RPC.to_owned()), Some(RPC.to_owned())]);
        }
    }
}

#[tokio::test]
async fn method_is_known_after_its_first_response() {
    for rpc in RPCS {
        let routes = Plain::routes(&ScriptedService::default());
        let (spans, asked) = names(ServerLayer::new(), routes, rpc, &["13", "", "13"]).await;
        // A bare status may come from an interceptor, so it does not prove that the method exists.
        assert_eq!(spans, [other(rpc), known(rpc), known(rpc)]);
        assert_eq!(asked, [None, None, Some(rpc.to_owned())]);
    }
}

#[tokio::test]
async fn method_is_known_after_a_partial_response() {
    let rpc = "kinds.ServerStream/Call";
    let routes = Plain::routes(&ScriptedService::default());
    let (spans, _) = names(ServerLayer::new(), routes, rpc, &["later 13"]).await;
    assert_eq!(spans, [known(rpc)]);
}

#[tokio::test]
async fn known_methods_are_shared_by_connections() {
    let telemetry = Telemetry::start();
    let server = Server::builder().layer(ServerLayer::new());
    let server = serve_with(server, Plain::routes(&ScriptedService::default())).await;
    for text in ["", "13"] {
        call_each(&server, RPC, &[text]).await;
    }
    for span in telemetry.spans(2).await {
        assert_eq!(span.name, RPC);
    }
}

/// Active requests are counted as `_OTHER` only until their method is known.
#[tokio::test]
async fn active_requests_are_moved_to_their_method() {
    let telemetry = Telemetry::start();
    let handler = ScriptedService::default();
    let server = Server::builder().layer(ServerLayer::new());
    let server = serve_with(server, Plain::routes(&handler)).await;
    let rpc = "kinds.ServerStream/Call";
    let active = |telemetry: &Telemetry| {
        let mut active = telemetry.metrics().active_requests();
        active.retain(|(_, active)| *active != 0);
        let active = active
            .into_iter()
            .map(|(mut point, active)| (point.remove("rpc.method").unwrap(), active));
        active.collect::<Vec<_>>()
    };

    let early = integration_tests::rpc::call(server.channel().await, rpc, request("wait"));
    tokio::select! {
        reply = early => panic!("it does not reply: {reply:?}"),
        () = async {
            handler.waits().await;
            assert_eq!(active(&telemetry), [("_OTHER".to_owned(), 1)]);
        } => {}
    }
    telemetry.span().await;
    assert_eq!(active(&telemetry), []);

    let late = integration_tests::rpc::call(server.channel().await, rpc, request("later wait"));
    let late = late.await.unwrap();
    assert_eq!(active(&telemetry), [(rpc.to_owned(), 1)]);
    drop(late);
    telemetry.spans(2).await;
    assert_eq!(active(&telemetry), []);
}

#[tokio::test]
async fn cancelled_rpc_of_an_unknown_method() {
    let telemetry = Telemetry::start();
    let handler = ScriptedService::default();
    let server = Server::builder().layer(ServerLayer::new());
    let server = serve_with(server, Plain::routes(&handler)).await;
    tokio::select! {
        reply = integration_tests::rpc::call(server.channel().await, RPC, request("wait")) => panic!("it does not reply: {reply:?}"),
        () = handler.waits() => {}
    }
    let span = telemetry.span().await;
    let found = attributes(&span.attributes);
    assert_eq!(span.name, "grpc");
    assert_eq!(found["rpc.method_original"], RPC);
    assert_eq!(found["rpc.status_code"], "CANCELLED");
    assert_eq!(telemetry.durations(1).await[0]["rpc.method"], "_OTHER");
}
