//! The server metrics: call durations and active requests.

use std::sync::Arc;
use std::time::Duration;

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::in_own_process_async;
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, expected};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use otel_runtime::traced_service;
use tokio::sync::Semaphore;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// A service that replies when the test releases it.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

#[traced_service]
#[tonic::async_trait]
impl Unary for Gate {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        self.0.acquire().await.unwrap().forget();
        Ok(Response::new(request.into_inner()))
    }
}

#[tokio::test]
async fn duration_histogram_follows_the_conventions() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(Gate(Arc::new(Semaphore::new(1)))))).await;
    UnaryClient::new(server.channel().await)
        .call(Message::from(""))
        .await
        .unwrap();
    telemetry.span().await;

    let metrics = telemetry.metrics();
    let metric = metrics.instrument("rpc.server.call.duration").unwrap();
    assert_eq!(metric.unit(), "s");
    assert_eq!(
        metric.description(),
        "Measures the duration of an incoming Remote Procedure Call (RPC)."
    );
    let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
        panic!("{metric:?}")
    };
    let bounds: Vec<_> = histogram.data_points().next().unwrap().bounds().collect();
    assert_eq!(
        bounds,
        [
            0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0
        ]
    );
}

#[tokio::test]
async fn duration_has_only_the_attributes_of_the_conventions() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(Gate(Arc::new(Semaphore::new(2)))))).await;
    let mut client = UnaryClient::new(server.channel().await);
    client.call(Message::from("")).await.unwrap();
    client.call(Message::from("")).await.unwrap();
    telemetry.spans(2).await;

    let durations = telemetry.metrics().durations();
    let [(point, count, _)] = &durations[..] else {
        panic!("{durations:?}")
    };
    assert_eq!(
        *point,
        expected([
            ("rpc.system.name", "grpc"),
            ("rpc.method", "kinds.Unary/Call"),
            ("rpc.status_code", "OK")
        ])
    );
    assert_eq!(*count, 2);
}

#[tokio::test]
async fn duration_equals_that_of_the_span() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(Gate(Arc::new(Semaphore::new(1)))))).await;
    UnaryClient::new(server.channel().await)
        .call(Message::from(""))
        .await
        .unwrap();

    let span = telemetry.span().await;
    let [(_, 1, seconds)] = telemetry.metrics().durations()[..] else {
        panic!("expected one value")
    };
    let duration = Duration::from_secs_f64(seconds);
    assert_eq!(span.end_time.duration_since(span.start_time).unwrap(), duration);
}

#[test]
fn active_requests_go_up_and_down() {
    in_own_process_async(async {
        let telemetry = Telemetry::start();
        let gate = Arc::new(Semaphore::new(0));
        let server = serve(Routes::new(UnaryServer::new(Gate(gate.clone())))).await;
        let client = UnaryClient::new(server.channel().await);
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let mut client = client.clone();
                tokio::spawn(async move { client.call(Message::from("")).await.unwrap() })
            })
            .collect();
        telemetry.spans_started(3).await;

        let metrics = telemetry.metrics();
        let metric = metrics.instrument("rpc.server.active_requests").unwrap();
        assert_eq!(metric.unit(), "{request}");
        let method = expected([("rpc.system.name", "grpc"), ("rpc.method", "kinds.Unary/Call")]);
        assert_eq!(metrics.active_requests(), [(method.clone(), 3)]);
        assert_eq!(metrics.duration_count(), 0);

        gate.add_permits(3);
        for call in calls {
            call.await.unwrap();
        }
        telemetry.spans(3).await;
        let metrics = telemetry.metrics();
        assert_eq!(metrics.active_requests(), [(method, 0)]);
        assert_eq!(metrics.duration_count(), 3);
    });
}

#[test]
fn no_other_instruments_are_created() {
    in_own_process_async(async {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(UnaryServer::new(Gate(Arc::new(Semaphore::new(1)))))).await;
        UnaryClient::new(server.channel().await)
            .call(Message::from(""))
            .await
            .unwrap();
        telemetry.span().await;
        assert_eq!(
            telemetry.metrics().names(),
            ["rpc.server.active_requests", "rpc.server.call.duration"]
        );
    });
}
