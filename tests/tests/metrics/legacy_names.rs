//! `OTEL_SEMCONV_STABILITY_OPT_IN` selects the names from before the RPC conventions became stable.

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::own_process::{block_on, in_own_process_with};
use integration_tests::server::{TIMEOUT, serve_with};
use integration_tests::telemetry::{Attributes, Metrics, Telemetry, attributes, expected};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use otel_runtime::{ClientLayer, ServerLayer, traced_service};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};
use tower::Layer;

const OPT_IN: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";

struct Service;

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Service {
    type CallStream = tokio_stream::Iter<std::vec::IntoIter<Result<Message, Status>>>;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let answer = request.into_inner();
        let items = vec![Ok(answer.clone()), Ok(answer), Err(Status::not_found("no more"))];
        Ok(Response::new(tokio_stream::iter(items)))
    }
}

/// The old conventions have the uncompressed size, which nobody knows of a compressed message.
#[test]
fn compressed_messages_have_no_legacy_size() {
    in_own_process_with(&[(OPT_IN, "rpc/dup")], || {
        block_on(async {
            for (requests, responses, with_size) in [
                (false, true, ["rpc.server.request.size", "rpc.client.request.size"]),
                (true, false, ["rpc.server.response.size", "rpc.client.response.size"]),
            ] {
                let telemetry = Telemetry::start();
                tokio::time::timeout(TIMEOUT, compressed_rpc(requests, responses))
                    .await
                    .unwrap();
                telemetry.spans(2).await;
                let metrics = telemetry.metrics();
                for side in ["server", "client"] {
                    for direction in ["request", "response"] {
                        let name = format!("rpc.{side}.{direction}.size");
                        let found = points(&metrics, &name);
                        let found: Vec<_> = found.iter().map(|(_, count, sum)| (*count, *sum)).collect();
                        // An encoded message has the field's tag, the length, and eight letters.
                        let all = if direction == "request" { (1, 10.0) } else { (2, 20.0) };
                        let expected = if with_size.contains(&&*name) {
                            vec![all]
                        } else {
                            Vec::new()
                        };
                        assert_eq!(found, expected, "{name}");
                    }
                }
            }
        });
    });
}

/// Makes an RPC, with compressed messages in one direction.
async fn compressed_rpc(requests: bool, responses: bool) {
    let mut service = ServerStreamServer::new(Service).accept_compressed(CompressionEncoding::Gzip);
    if responses {
        service = service.send_compressed(CompressionEncoding::Gzip);
    }
    let server = Server::builder().layer(ServerLayer::new());
    let server = serve_with(server, Routes::new(service)).await;
    let channel = ClientLayer::new("greeter.example:1").layer(server.channel().await);
    let mut client = ServerStreamClient::new(channel).accept_compressed(CompressionEncoding::Gzip);
    if requests {
        client = client.send_compressed(CompressionEncoding::Gzip);
    }
    let mut replies = client.call(Message::from("12345678")).await.unwrap().into_inner();
    while let Ok(Some(_)) = replies.message().await {}
}

/// Makes two RPCs, recorded by the attribute and both layers, and one to an unknown method.
async fn three_rpcs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .layer(ServerLayer::new())
        .add_service(ServerStreamServer::new(Service));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = ClientLayer::new("greeter.example:1").layer(endpoint.connect().await.unwrap());
    let mut client = ServerStreamClient::new(channel.clone());
    for _ in 0..2 {
        let mut replies = client.call(Message::from("12345678")).await.unwrap().into_inner();
        while let Ok(Some(_)) = replies.message().await {}
    }
    let mut client = integration_tests::kinds::unary_client::UnaryClient::new(channel);
    client.call(Message::from("")).await.unwrap_err();
}

/// Returns the data points of a histogram: attributes, count and sum.
fn points(metrics: &Metrics, name: &str) -> Vec<(Attributes, u64, f64)> {
    let Some(metric) = metrics.instrument(name) else {
        return Vec::new();
    };
    match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => histogram
            .data_points()
            .map(|point| (attributes(point.attributes()), point.count(), point.sum()))
            .collect(),
        #[allow(clippy::cast_precision_loss)]
        AggregatedMetrics::U64(MetricData::Histogram(histogram)) => histogram
            .data_points()
            .map(|point| (attributes(point.attributes()), point.count(), point.sum() as f64))
            .collect(),
        other => panic!("not a histogram: {other:?}"),
    }
}

const STABLE: [&str; 4] = [
    "rpc.client.active_requests",
    "rpc.client.call.duration",
    "rpc.server.active_requests",
    "rpc.server.call.duration",
];

/// Asserts the attributes of all spans, with the legacy ones if `legacy`.
async fn assert_spans(telemetry: &Telemetry, legacy: bool) {
    let (mut of_stream, mut of_unknown_method) = (0, 0);
    for span in telemetry.spans(6).await {
        let found = attributes(&span.attributes);
        let is_unknown_here = found["rpc.method"] == "_OTHER";
        let (service, code) = if found["rpc.status_code"] == "NOT_FOUND" {
            of_stream += 1;
            assert_eq!(found["rpc.method"], "kinds.ServerStream/Call");
            (Some("kinds.ServerStream"), "5")
        } else {
            of_unknown_method += 1;
            assert_eq!(is_unknown_here, span.span_kind == SpanKind::Server);
            ((!is_unknown_here).then_some("kinds.Unary"), "12")
        };
        let value = |name: &str| found.get(name).map(String::as_str);
        assert_eq!(value("rpc.system"), legacy.then_some("grpc"));
        assert_eq!(value("rpc.service"), service.filter(|_| legacy));
        assert_eq!(value("rpc.grpc.status_code"), legacy.then_some(code));
        assert!(!found.contains_key("rpc.response.status_code"), "{found:?}");
    }
    assert_eq!((of_stream, of_unknown_method), (4, 2));
}

/// Asserts the legacy metrics of one side.
fn assert_legacy_metrics(metrics: &Metrics, side: &str) {
    let total = |points: &[(Attributes, u64, f64)]| points.iter().map(|(.., sum)| sum).sum::<f64>();
    let stable = total(&points(metrics, &format!("rpc.{side}.call.duration")));
    let durations = points(metrics, &format!("rpc.{side}.duration"));
    let legacy = total(&durations);
    assert!(
        (legacy - stable * 1000.0).abs() < 1e-6,
        "{legacy} ms are not {stable} s"
    );
    assert_eq!(durations.len(), 2, "{durations:?}");

    let stream = expected([
        ("rpc.system", "grpc"),
        ("rpc.service", "kinds.ServerStream"),
        ("rpc.method", "Call"),
    ]);
    let mut with_code = stream.clone();
    with_code.insert("rpc.grpc.status_code".to_owned(), "5".to_owned());
    let of_stream = durations.iter().find(|(found, ..)| *found == with_code);
    assert_eq!(of_stream.map(|(_, count, _)| *count), Some(2), "{durations:?}");

    // An encoded message has the field's tag, the length, and eight letters.
    let requests = points(metrics, &format!("rpc.{side}.request.size"));
    assert!(requests.contains(&(stream.clone(), 2, 20.0)), "{side}: {requests:?}");
    let responses = points(metrics, &format!("rpc.{side}.response.size"));
    assert_eq!(responses, [(stream, 4, 40.0)], "{side}");
}

#[test]
fn only_stable_names_by_default() {
    for opt_in in ["", "rpc"] {
        in_own_process_with(&[(OPT_IN, opt_in)], || {
            block_on(async {
                let telemetry = Telemetry::start();
                tokio::time::timeout(TIMEOUT, three_rpcs()).await.unwrap();
                assert_spans(&telemetry, false).await;
                assert_eq!(telemetry.metrics().names(), STABLE);
            });
        });
    }
}

#[test]
fn legacy_and_stable_names_if_opted_in() {
    for opt_in in ["rpc/dup", "http , rpc/dup"] {
        in_own_process_with(&[(OPT_IN, opt_in)], || {
            block_on(async {
                let telemetry = Telemetry::start();
                tokio::time::timeout(TIMEOUT, three_rpcs()).await.unwrap();
                assert_spans(&telemetry, true).await;

                let metrics = telemetry.metrics();
                let names = metrics.names();
                assert!(STABLE.iter().all(|name| names.contains(name)), "{names:?}");
                assert_eq!(names.len(), STABLE.len() + 6, "{names:?}");
                assert_legacy_metrics(&metrics, "server");
                assert_legacy_metrics(&metrics, "client");

                let durations = metrics.instrument("rpc.server.duration").unwrap();
                assert_eq!(durations.unit(), "ms");
                assert_eq!(durations.description(), "Measures the duration of inbound RPC.");
                assert_eq!(metrics.instrument("rpc.client.duration").unwrap().unit(), "ms");
                assert_eq!(metrics.instrument("rpc.server.request.size").unwrap().unit(), "By");
            });
        });
    }
}
