//! `server.address` and `server.port` of a client: the configured target, not its resolution.

use integration_tests::client::endpoint;
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve;
use integration_tests::telemetry::{Attributes, Telemetry, attributes, expected};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{ClientLayer, TracedChannel};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tower::Layer;

async fn hello(channel: TracedChannel) {
    UnaryClient::new(channel).call(Message::from("hello")).await.unwrap();
}

/// Returns the `server.*` and `network.*` attributes, which span and duration share.
fn addresses(telemetry: &Telemetry, span: &SpanData) -> Attributes {
    let found = attributes(&span.attributes);
    let durations = telemetry.metrics().client_durations();
    assert_eq!(durations.len(), 1, "{durations:?}");
    assert_eq!(durations[0].0, found);
    let addresses = found.into_iter().filter(|(key, _)| !key.starts_with("rpc."));
    addresses.collect()
}

#[tokio::test]
async fn ip_address_is_recorded_unchanged() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    hello(TracedChannel::connect(endpoint(server.address)).await.unwrap()).await;

    let span = telemetry.span().await;
    let port = server.address.port().to_string();
    assert_eq!(
        addresses(&telemetry, &span),
        expected([("server.address", "127.0.0.1"), ("server.port", &port)])
    );
}

#[tokio::test]
async fn host_name_is_not_resolved() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let port = server.address.port().to_string();
    let endpoint = Endpoint::from_shared(format!("http://localhost:{port}")).unwrap();
    hello(TracedChannel::connect_lazy(&endpoint)).await;

    let span = telemetry.span().await;
    assert_eq!(
        addresses(&telemetry, &span),
        expected([("server.address", "localhost"), ("server.port", &port)])
    );
}

#[tokio::test]
async fn origin_of_requests_is_ignored() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let port = server.address.port().to_string();
    let endpoint = endpoint(server.address).origin("http://greeter.example".parse().unwrap());
    hello(TracedChannel::connect(endpoint).await.unwrap()).await;

    let span = telemetry.span().await;
    assert_eq!(
        addresses(&telemetry, &span),
        expected([("server.address", "127.0.0.1"), ("server.port", &port)])
    );
}

#[tokio::test]
async fn unix_socket_is_recorded_as_its_path() {
    let telemetry = Telemetry::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("greeter.sock");
    let path = path.to_str().unwrap();
    let listener = tokio::net::UnixListener::bind(path).unwrap();
    let server = Server::builder().add_routes(ScriptedService::default().routes());
    let server = tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));

    let target = format!("unix://{path}");
    let endpoint = Endpoint::from_shared(target.clone()).unwrap();
    hello(ClientLayer::new(&target).layer(endpoint.connect().await.unwrap())).await;
    let span = telemetry.span().await;
    assert_eq!(addresses(&telemetry, &span), expected([("server.address", path)]));
    drop(telemetry);

    // An endpoint does not expose a Unix socket, and its URI is no address.
    let telemetry = Telemetry::start();
    hello(TracedChannel::connect(endpoint).await.unwrap()).await;
    let span = telemetry.span().await;
    assert_eq!(addresses(&telemetry, &span), expected([]));
    server.abort();
}

#[tokio::test]
async fn load_balanced_channel_has_the_configured_name() {
    let telemetry = Telemetry::start();
    let services = [ScriptedService::default(), ScriptedService::default()];
    let servers = [serve(services[0].routes()).await, serve(services[1].routes()).await];
    let balanced = Channel::balance_list(servers.iter().map(|server| endpoint(server.address)));
    let channel = ClientLayer::new("dns:///greeter.example:50051").layer(balanced);
    // The balancer chooses the server at random.
    let mut calls = 0;
    while services
        .iter()
        .any(|service| service.metadata.lock().unwrap().is_empty())
    {
        assert!(calls < 10_000, "one of them is never reached");
        hello(channel.clone()).await;
        calls += 1;
    }

    let spans = telemetry.spans(calls).await;
    let server = expected([("server.address", "greeter.example"), ("server.port", "50051")]);
    assert_eq!(addresses(&telemetry, &spans[0]), server);
    let first = attributes(&spans[0].attributes);
    assert!(spans.iter().all(|span| attributes(&span.attributes) == first));
}
