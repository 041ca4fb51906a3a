//! Opt-in metrics of message sizes of `ServerLayer`, with gRPC's names.

use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_client::BidiClient;
use integration_tests::kinds::bidi_server::{Bidi, BidiServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::own_process::in_own_process_async;
use integration_tests::server::serve_with;
use integration_tests::telemetry::{Attributes, Metrics, Telemetry, attributes, expected};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use otel_runtime::ServerLayer;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

const RECEIVED: &str = "grpc.server.call.rcvd_total_compressed_message_size";
const SENT: &str = "grpc.server.call.sent_total_compressed_message_size";

struct Echo;

#[tonic::async_trait]
impl Bidi for Echo {
    type CallStream = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<Message, Status>> + Send>>;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        let twice = request.into_inner().map(|message| {
            message.map(|message| Message {
                text: message.text.repeat(2),
            })
        });
        Ok(Response::new(Box::pin(twice)))
    }
}

async fn serve(layer: ServerLayer) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = BidiServer::new(Echo)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let server = Server::builder().layer(layer).add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

async fn echo(client: &mut BidiClient<Channel>, texts: [&'static str; 3]) {
    let messages = tokio_stream::iter(texts.map(Message::from));
    let mut replies = client.call(messages).await.unwrap().into_inner();
    while replies.message().await.unwrap().is_some() {}
}

/// Returns the data points of a histogram of sizes: attributes, count and sum.
fn points(metrics: &Metrics, name: &str) -> Vec<(Attributes, u64, u64)> {
    let metric = metrics.instrument(name).unwrap();
    assert_eq!(metric.unit(), "By");
    let AggregatedMetrics::U64(MetricData::Histogram(histogram)) = metric.data() else {
        panic!("not a histogram of u64: {metric:?}")
    };
    let points = histogram.data_points();
    points
        .map(|point| {
            let bounds: Vec<f64> = point.bounds().collect();
            assert_eq!((bounds[0], bounds[1], bounds[13]), (0.0, 1024.0, 4_294_967_296.0));
            (attributes(point.attributes()), point.count(), point.sum())
        })
        .collect()
}

fn of(method: &str, status: &str) -> Attributes {
    expected([("grpc.method", method), ("grpc.status", status)])
}

#[tokio::test]
async fn all_messages_of_an_rpc_are_measured() {
    let telemetry = Telemetry::start();
    let channel = serve(ServerLayer::new().message_sizes()).await;
    let mut client = BidiClient::new(channel.clone());
    // An encoded message has the field's tag, the length, and the letters.
    echo(&mut client, ["", "a", "abc"]).await;
    echo(&mut client, ["", "", ""]).await;
    UnaryClient::new(channel).call(Message::from("")).await.unwrap_err();
    telemetry.spans(3).await;

    let metrics = telemetry.metrics();
    let received = points(&metrics, RECEIVED);
    // Nobody reads the request of an unknown method.
    assert_eq!(received, [(of("kinds.Bidi/Call", "OK"), 2, 3 + 5)]);
    let sent = points(&metrics, SENT);
    assert_eq!(sent.len(), 2);
    assert!(sent.contains(&(of("kinds.Bidi/Call", "OK"), 2, 4 + 8)), "{sent:?}");
    assert!(sent.contains(&(of("other", "UNIMPLEMENTED"), 1, 0)), "{sent:?}");
}

#[tokio::test]
async fn compressed_sizes_are_measured() {
    let telemetry = Telemetry::start();
    let channel = serve(ServerLayer::new().message_sizes()).await;
    let mut client = BidiClient::new(channel)
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let long: &str = &"a".repeat(10_000);
    let mut replies = client
        .call(tokio_stream::once(Message::from(long)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().text.len(), 20_000);
    while replies.message().await.unwrap().is_some() {}
    telemetry.span().await;

    let metrics = telemetry.metrics();
    for name in [RECEIVED, SENT] {
        let [(_, 1, size)] = points(&metrics, name)[..] else {
            panic!("{metrics:?}")
        };
        assert!((20..500).contains(&size), "{name}: {size}");
    }
}

/// Sends a request as it is, to a server that answers what is not its own with a page.
async fn send(path: &str, body: &'static [u8]) {
    let page = || async { (axum::http::StatusCode::NOT_FOUND, "there is no page") };
    let routes = Routes::new(BidiServer::new(Echo)).into_axum_router().fallback(page);
    let server = Server::builder().layer(ServerLayer::new().message_sizes());
    let server = serve_with(server, Routes::from(routes)).await;
    let request = http::Request::post(format!("http://{}/{path}", server.address))
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::new(http_body_util::Full::from(body)))
        .unwrap();
    let response = tower::ServiceExt::oneshot(server.channel().await, request)
        .await
        .unwrap();
    let _ = http_body_util::BodyExt::collect(response.into_body()).await;
}

/// Neither the sizes that a frame announces, nor those of a body that is not gRPC.
#[test]
fn only_bytes_that_have_passed_are_measured() {
    in_own_process_async(async {
        let telemetry = Telemetry::start();
        send("kinds.Bidi/Call", b"\0\xff\xff\xff\xffabcde").await;
        telemetry.span().await;
        let metrics = telemetry.metrics();
        let received = points(&metrics, RECEIVED);
        assert!(matches!(received[..], [(_, 1, 5)]), "{received:?}");

        let telemetry = {
            drop(telemetry);
            Telemetry::start()
        };
        send("made.Up/Path", b"\0\0\0\0\x03abc").await;
        telemetry.span().await;
        let metrics = telemetry.metrics();
        for name in [RECEIVED, SENT] {
            assert!(metrics.instrument(name).is_none(), "{name}: {metrics:?}");
        }
    });
}

/// A router's request body has a type that cannot hold a counter, so there is no point of 0 bytes.
#[test]
fn requests_that_cannot_be_counted_have_no_point() {
    in_own_process_async(async {
        let telemetry = Telemetry::start();
        let router = Routes::new(BidiServer::new(Echo)).into_axum_router();
        let router = router.layer(ServerLayer::new().message_sizes());
        let server = integration_tests::server::serve(Routes::from(router)).await;
        let mut client = BidiClient::new(server.channel().await);
        echo(&mut client, ["", "a", "abc"]).await;
        telemetry.span().await;
        let metrics = telemetry.metrics();
        assert!(metrics.instrument(RECEIVED).is_none(), "{metrics:?}");
        assert_eq!(points(&metrics, SENT), [(of("kinds.Bidi/Call", "OK"), 1, 4 + 8)]);
    });
}

#[test]
fn sizes_are_not_measured_by_default() {
    in_own_process_async(async {
        let telemetry = Telemetry::start();
        let channel = serve(ServerLayer::new()).await;
        echo(&mut BidiClient::new(channel), ["", "a", "abc"]).await;
        telemetry.span().await;
        assert_eq!(
            telemetry.metrics().names(),
            ["rpc.server.active_requests", "rpc.server.call.duration"]
        );
    });
}
