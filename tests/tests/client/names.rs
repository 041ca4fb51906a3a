//! The method name of a client's RPC: from the generated client, or from a known path.
//!
//! Unknown paths are all recorded as `_OTHER`.

use integration_tests::client::{connect, endpoint};
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve;
use integration_tests::telemetry::{Attributes, Telemetry, attributes, expected};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{ClientLayer, TracedChannel};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tower::Layer;

/// Calls a path as generated clients do, but without the `GrpcMethod` extension.
async fn by_path(channel: TracedChannel, path: &str, text: &str) -> Result<String, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::try_from(path).unwrap();
    let request = Request::new(Message::from(text));
    let reply = grpc
        .unary::<_, Message, _>(request, path, ProstCodec::default())
        .await?;
    Ok(reply.into_inner().text)
}

/// Returns the span's name, and its attributes that name the method.
fn names(span: &SpanData) -> (&str, Attributes) {
    let mut found = attributes(&span.attributes);
    found.retain(|key, _| key.starts_with("rpc.method"));
    (&span.name, found)
}

/// Returns the methods and counts of durations, and asserts that no request is active.
fn labels(telemetry: &Telemetry) -> Vec<(String, u64)> {
    let metrics = telemetry.metrics();
    assert_eq!(metrics.client_active_request_count(), 0);
    let points = metrics.client_durations();
    points
        .into_iter()
        .map(|(point, count, _)| {
            assert!(!point.contains_key("rpc.method_original"));
            (point["rpc.method"].clone(), count)
        })
        .collect()
}

#[tokio::test]
async fn generated_client_names_the_method_even_below_a_path_prefix() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let origin = format!("http://{}/behind/a/proxy", server.address).parse().unwrap();
    let mut client = UnaryClient::with_origin(connect(&server).await, origin);
    let status = client.call(Message::from("")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);

    let span = telemetry.span().await;
    let method = expected([("rpc.method", "kinds.Unary/Call")]);
    assert_eq!(names(&span), ("kinds.Unary/Call", method));
    assert_eq!(labels(&telemetry), [("kinds.Unary/Call".to_owned(), 1)]);
}

#[tokio::test]
async fn unknown_path_is_other() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let channel = connect(&server).await;
    for path in ["/made.up/Method", "/kinds.Unary/MadeUp"] {
        let status = by_path(channel.clone(), path, "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
    // A bare status may come from an intermediary, so it does not prove that the method exists.
    by_path(channel, "/kinds.Unary/Call", "5").await.unwrap_err();

    let spans = telemetry.spans(3).await;
    for (span, original) in spans
        .iter()
        .zip(["made.up/Method", "kinds.Unary/MadeUp", "kinds.Unary/Call"])
    {
        let method = expected([("rpc.method", "_OTHER"), ("rpc.method_original", original)]);
        assert_eq!(names(span), ("grpc", method));
    }
    let mut labels = labels(&telemetry);
    labels.sort();
    labels.dedup_by_key(|(method, _)| method.clone());
    assert_eq!(labels.len(), 1);
    assert_eq!(labels[0].0, "_OTHER");
}

#[tokio::test]
async fn path_is_known_after_a_response_message() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let channel = connect(&server).await;
    assert_eq!(
        by_path(channel.clone(), "/kinds.Unary/Call", "hello").await.unwrap(),
        "hello"
    );
    // The method is known from now on, even if it fails.
    by_path(channel, "/kinds.Unary/Call", "5").await.unwrap_err();

    let method = expected([("rpc.method", "kinds.Unary/Call")]);
    for span in &telemetry.spans(2).await {
        assert_eq!(names(span), ("kinds.Unary/Call", method.clone()));
    }
    let labels = labels(&telemetry);
    assert!(
        labels.iter().all(|(method, _)| method == "kinds.Unary/Call"),
        "{labels:?}"
    );
}

#[tokio::test]
async fn registered_path_is_known() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let layer = ClientLayer::new("told").known_methods(["kinds.Unary/Call", "/kinds.Bidi/Call"]);
    let channel = layer.layer(endpoint(server.address).connect_lazy());
    by_path(channel.clone(), "/kinds.Unary/Call", "5").await.unwrap_err();
    by_path(channel.clone(), "/kinds.Bidi/Call", "5").await.unwrap_err();
    by_path(channel, "/kinds.ServerStream/Call", "5").await.unwrap_err();

    let spans = telemetry.spans(3).await;
    let found: Vec<_> = spans.iter().map(|span| names(span).0).collect();
    assert_eq!(found, ["kinds.Unary/Call", "kinds.Bidi/Call", "grpc"]);
}

#[tokio::test]
async fn thousand_unknown_paths_are_one_time_series() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let channel = connect(&server).await;
    for number in 0..1000 {
        let path = format!("/made.up{number}/Method{number}");
        by_path(channel.clone(), &path, "").await.unwrap_err();
    }
    telemetry.spans(1000).await;
    let metrics = telemetry.metrics();
    let [(point, 1000, _)] = &metrics.client_durations()[..] else {
        panic!("{metrics:?}")
    };
    assert_eq!(point["rpc.method"], "_OTHER");
    let active = metrics.client_active_requests();
    assert!(
        active.iter().all(|(point, _)| !point["rpc.method"].contains("made.up")),
        "{active:?}"
    );
}
