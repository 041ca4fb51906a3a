//! Opt-in counters of started calls and of messages, which go up while a stream runs.

use std::collections::BTreeMap;
use std::pin::Pin;

use integration_tests::client::{Kind, call, endpoint};
use integration_tests::free_address::free_address;
use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_client::BidiClient;
use integration_tests::kinds::bidi_server::{Bidi, BidiServer};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Attributes, Metrics, Telemetry, attributes};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use otel_runtime::{ClientLayer, ServerLayer, traced_service};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tower::Layer;

const SERVER: [&str; 3] = [
    "grpc.server.call.started",
    "grpc.server.call.rcvd_messages",
    "grpc.server.call.sent_messages",
];
const CLIENT: [&str; 3] = [
    "grpc.client.attempt.started",
    "grpc.client.attempt.rcvd_messages",
    "grpc.client.attempt.sent_messages",
];
const BIDI: &str = "kinds.Bidi/Call";

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

struct Plain;

#[tonic::async_trait]
impl Bidi for Plain {
    type CallStream = Messages;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner())))
    }
}

struct Annotated;

#[traced_service]
#[tonic::async_trait]
impl Bidi for Annotated {
    type CallStream = Messages;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner())))
    }
}

async fn serve_counted(routes: Routes) -> RunningServer {
    serve_with(Server::builder().layer(ServerLayer::new().message_counts()), routes).await
}

/// Returns the values of a counter since the last collection, by its attributes.
fn counter(metrics: &Metrics, name: &str) -> BTreeMap<String, u64> {
    let Some(metric) = metrics.instrument(name) else {
        return BTreeMap::new();
    };
    let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else {
        panic!("not a counter of u64: {metric:?}")
    };
    assert!(sum.is_monotonic());
    let text = |attributes: Attributes| {
        let pairs: Vec<String> = attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(" ")
    };
    sum.data_points()
        .map(|point| (text(attributes(point.attributes())), point.value()))
        .filter(|(_, value)| *value > 0)
        .collect()
}

fn expected(points: &[(&str, u64)]) -> BTreeMap<String, u64> {
    points
        .iter()
        .map(|(attributes, value)| ((*attributes).to_owned(), *value))
        .collect()
}

/// Asserts started calls, received messages and sent messages of one method.
fn assert_counted(metrics: &Metrics, names: [&str; 3], attributes: &str, counts: [u64; 3]) {
    for (name, count) in names.into_iter().zip(counts) {
        let points = [(attributes, count)];
        let points = if count == 0 { &points[..0] } else { &points[..] };
        assert_eq!(counter(metrics, name), expected(points), "{name}");
    }
}

#[tokio::test]
async fn counters_go_up_while_a_stream_runs() {
    for routes in [
        Routes::new(BidiServer::new(Plain)),
        Routes::new(BidiServer::new(Annotated)),
    ] {
        let telemetry = Telemetry::start();
        let server = serve_counted(routes).await;
        let layer = ClientLayer::new("shop.example:50051").message_counts();
        let mut client = BidiClient::new(layer.layer(server.channel().await));
        let (say, said) = mpsc::channel(1);
        say.send(Message::from("first")).await.unwrap();
        let mut replies = client.call(ReceiverStream::new(said)).await.unwrap().into_inner();
        replies.message().await.unwrap().unwrap();

        let of_client = "grpc.method=kinds.Bidi/Call grpc.target=shop.example:50051";
        let of_server = "grpc.method=kinds.Bidi/Call";
        let metrics = telemetry.metrics();
        assert_counted(&metrics, SERVER, of_server, [1, 1, 1]);
        assert_counted(&metrics, CLIENT, of_client, [1, 1, 1]);
        for _ in 0..2 {
            say.send(Message::from("again")).await.unwrap();
            replies.message().await.unwrap().unwrap();
        }
        let metrics = telemetry.metrics();
        assert_counted(&metrics, SERVER, of_server, [0, 2, 2]);
        assert_counted(&metrics, CLIENT, of_client, [0, 2, 2]);
        assert_eq!(metrics.duration_count() + metrics.client_duration_count(), 0);

        drop(say);
        assert!(replies.message().await.unwrap().is_none());
        for span in telemetry.spans(2).await {
            let found = attributes(&span.attributes);
            assert_eq!(found["rpc.messages.received"], "3", "{:?}", span.span_kind);
            assert_eq!(found["rpc.messages.sent"], "3", "{:?}", span.span_kind);
            assert_eq!(found.get("rpc.request.resend_count"), None);
        }
        let metrics = telemetry.metrics();
        assert_counted(&metrics, SERVER, of_server, [0, 0, 0]);
        assert_counted(&metrics, CLIENT, of_client, [0, 0, 0]);
    }
}

/// A method becomes known while its first call runs; others stay `other`.
#[tokio::test]
async fn methods_are_those_that_exist() {
    let telemetry = Telemetry::start();
    let server = serve_counted(ScriptedService::default().routes()).await;
    for rpc in [BIDI, "made.Up/Path", BIDI] {
        call_to_end(server.channel().await, rpc, request("")).await;
    }
    telemetry.spans(3).await;
    let metrics = telemetry.metrics();
    let [started, received, sent] = SERVER.map(|name| counter(&metrics, name));
    let both = [("grpc.method=kinds.Bidi/Call", 2), ("grpc.method=other", 1)];
    assert_eq!(started, expected(&both));
    assert_eq!(received, expected(&both[..1]));
    assert_eq!(sent, expected(&both[..1]));
}

#[tokio::test]
async fn a_call_that_a_stricter_layer_restarts_counts_once() {
    for number in 0..2 {
        let telemetry = Telemetry::start();
        let layers = Server::builder()
            .layer(ServerLayer::new().known_methods([BIDI]).message_counts())
            .layer(ServerLayer::new().public_endpoint());
        let server = serve_with(layers, ScriptedService::default().routes()).await;
        call_to_end(server.channel().await, BIDI, request("")).await;
        telemetry.discard_spans(1);
        telemetry.span().await;
        let metrics = telemetry.metrics();
        assert_counted(&metrics, SERVER, "grpc.method=kinds.Bidi/Call", [1, 1, 1]);
        assert_eq!(metrics.active_request_count(), 0, "{number}");
    }
}

#[tokio::test]
async fn earlier_attempts_are_on_the_span_of_the_server() {
    let server = serve_counted(ScriptedService::default().routes()).await;
    let cases: [(&[&str], _); 11] = [
        (&["2"], Some("2")),
        (&["007"], Some("7")),
        (&["4294967295"], Some("4294967295")),
        (&["4294967296"], None),
        (&["0"], None),
        (&["-1"], None),
        (&["+1"], None),
        (&["1.5"], None),
        (&["many"], None),
        (&[""], None),
        // The first of several lines counts, as with `grpc-timeout`.
        (&["3", "many"], Some("3")),
    ];
    for (lines, recorded) in cases {
        let telemetry = Telemetry::start();
        let mut request = request("");
        for line in lines {
            let metadata = request.metadata_mut();
            metadata.append("grpc-previous-rpc-attempts", line.parse().unwrap());
        }
        call_to_end(server.channel().await, "kinds.Unary/Call", request).await;
        let found = attributes(&telemetry.span().await.attributes);
        let found_count = found.get("rpc.request.resend_count").map(String::as_str);
        assert_eq!(found_count, recorded, "{lines:?}");
        assert_eq!(found["rpc.messages.received"], "1");
        assert_eq!(found["rpc.messages.sent"], "1");
    }
}

/// Returns method, target, status, count and sum of a client's message sizes.
fn sizes(metrics: &Metrics, name: &str) -> Vec<(String, u64, u64)> {
    let metric = metrics.instrument(name).unwrap();
    assert_eq!(metric.unit(), "By");
    let AggregatedMetrics::U64(MetricData::Histogram(histogram)) = metric.data() else {
        panic!("not a histogram of u64: {metric:?}")
    };
    let points = histogram.data_points().map(|point| {
        let found = attributes(point.attributes());
        let names = ["grpc.method", "grpc.target", "grpc.status"];
        assert_eq!(found.len(), names.len());
        (names.map(|name| &*found[name]).join(" "), point.count(), point.sum())
    });
    points.filter(|(_, count, _)| *count > 0).collect()
}

#[tokio::test]
async fn sizes_of_a_clients_messages_are_recorded() {
    let server = serve(ScriptedService::default().routes()).await;
    let closed = free_address();
    for (address, text, status, received, sent) in [
        // An encoded message has the field's tag, the length, and the letters.
        (server.address, "hello", "OK", 7, 7),
        (server.address, "13", "INTERNAL", 0, 4),
        // The channel has taken the message before it could not connect.
        (closed, "hello", "UNAVAILABLE", 0, 7),
    ] {
        let telemetry = Telemetry::start();
        let layer = ClientLayer::new("shop.example:50051").message_sizes();
        let channel = layer.layer(endpoint(address).connect_lazy());
        let _ = call(channel, Kind::Unary, Request::new(text)).await;
        assert_eq!(telemetry.span().await.span_kind, SpanKind::Client);
        let metrics = telemetry.metrics();
        let series = format!("kinds.Unary/Call shop.example:50051 {status}");
        for (direction, size) in [("rcvd", received), ("sent", sent)] {
            let name = format!("grpc.client.attempt.{direction}_total_compressed_message_size");
            assert_eq!(sizes(&metrics, &name), [(series.clone(), 1, size)], "{name}");
        }
    }
}
