//! `OTEL_SEMCONV_STABILITY_OPT_IN` selects the names from before the RPC conventions became stable.

use std::process::Command;

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::server::TIMEOUT;
use integration_tests::telemetry::{Attributes, Metrics, Telemetry, attributes, expected};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use otel_runtime::{ClientLayer, ServerLayer, traced_service};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
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

#[tokio::test]
async fn names_of_the_current_environment() {
    let dup = std::env::var(OPT_IN).is_ok_and(|opt_in| opt_in.contains("rpc/dup"));
    let telemetry = Telemetry::start();
    tokio::time::timeout(TIMEOUT, three_rpcs()).await.unwrap();

    let (mut spans_of_stream, mut spans_of_unknown) = (0, 0);
    for span in telemetry.spans(6).await {
        let found = attributes(&span.attributes);
        let is_unknown_here = found["rpc.method"] == "_OTHER";
        let old = |name: &str| found.get(name).map(String::as_str);
        if found["rpc.status_code"] == "NOT_FOUND" {
            spans_of_stream += 1;
            assert_eq!(found["rpc.method"], "kinds.ServerStream/Call");
            assert_eq!(old("rpc.system"), dup.then_some("grpc"));
            assert_eq!(old("rpc.service"), dup.then_some("kinds.ServerStream"));
            assert_eq!(old("rpc.grpc.status_code"), dup.then_some("5"));
        } else {
            spans_of_unknown += 1;
            assert_eq!(is_unknown_here, span.span_kind == SpanKind::Server);
            assert_eq!(old("rpc.system"), dup.then_some("grpc"));
            assert_eq!(old("rpc.service"), (dup && !is_unknown_here).then_some("kinds.Unary"));
            assert_eq!(old("rpc.grpc.status_code"), dup.then_some("12"));
        }
        assert!(!found.contains_key("rpc.response.status_code"), "{found:?}");
    }
    assert_eq!((spans_of_stream, spans_of_unknown), (4, 2));

    let metrics = telemetry.metrics();
    let today = [
        "rpc.client.active_requests",
        "rpc.client.call.duration",
        "rpc.server.active_requests",
        "rpc.server.call.duration",
    ];
    let names = metrics.names();
    if !dup {
        assert_eq!(names, today);
        return;
    }
    assert!(today.iter().all(|name| names.contains(name)), "{names:?}");
    assert_eq!(names.len(), today.len() + 6, "{names:?}");

    let stream = [
        ("rpc.system", "grpc"),
        ("rpc.service", "kinds.ServerStream"),
        ("rpc.method", "Call"),
    ];
    for side in ["server", "client"] {
        let new: f64 = points(&metrics, &format!("rpc.{side}.call.duration"))
            .iter()
            .map(|(_, _, sum)| sum)
            .sum();
        let durations = points(&metrics, &format!("rpc.{side}.duration"));
        let old: f64 = durations.iter().map(|(_, _, sum)| sum).sum();
        assert!((old - new * 1000.0).abs() < 1e-6, "{old} ms are not {new} s");
        assert_eq!(durations.len(), 2, "{durations:?}");
        let mut of_stream = expected(stream);
        of_stream.insert("rpc.grpc.status_code".to_owned(), "5".to_owned());
        assert!(
            durations
                .iter()
                .any(|(found, count, _)| *found == of_stream && *count == 2),
            "{durations:?}"
        );

        // An encoded message has the field's tag, the length, and eight letters.
        let (sent, received) = match side {
            "server" => ("response", "request"),
            _ => ("request", "response"),
        };
        let requests = points(
            &metrics,
            &format!("rpc.{side}.{}.size", if side == "server" { received } else { sent }),
        );
        let request = requests.iter().find(|(found, ..)| *found == expected(stream)).unwrap();
        assert_eq!((request.1, request.2), (2, 20.0), "{side}: {requests:?}");
        let responses = points(
            &metrics,
            &format!("rpc.{side}.{}.size", if side == "server" { sent } else { received }),
        );
        assert_eq!(responses, [(expected(stream), 4, 40.0)], "{side}");
    }
    let metric = metrics.instrument("rpc.server.duration").unwrap();
    assert_eq!(
        (metric.unit(), metric.description()),
        ("ms", "Measures the duration of inbound RPC.")
    );
    assert_eq!(metrics.instrument("rpc.client.duration").unwrap().unit(), "ms");
    assert_eq!(metrics.instrument("rpc.server.request.size").unwrap().unit(), "By");
}

/// The environment is read once per process, so each value is tested in a child process.
#[test]
fn names_for_each_value_of_the_variable() {
    for opt_in in ["", "rpc", "rpc/dup", "http , rpc/dup"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "names_of_the_current_environment"])
            .env(OPT_IN, opt_in)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        // Check that the child process did run the test.
        assert!(
            output.status.success() && told.contains("1 passed"),
            "with {OPT_IN}={opt_in:?}: {told}"
        );
    }
}
