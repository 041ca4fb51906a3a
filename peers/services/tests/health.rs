//! tonic-health: a unary RPC, and a stream that lasts as long as somebody watches.

use foreign_services::{assert_each_is_one_rpc, assert_measured_once};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use otel_runtime::traced_service;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{self, Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

fn reply(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

/// Starts, and breaks down.
struct ShortLived;

#[traced_service]
#[tonic::async_trait]
impl Health for ShortLived {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match request.into_inner().service.as_str() {
            "" => Ok(Response::new(reply(ServingStatus::Serving))),
            other => Err(Status::not_found(format!("no service {other}"))),
        }
    }

    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let (changes, watched) = mpsc::channel(1);
        tokio::spawn(async move {
            for status in [ServingStatus::Unknown, ServingStatus::Serving] {
                changes.send(Ok(reply(status))).await?;
            }
            if !service.is_empty() {
                changes.send(Err(Status::unavailable("the registry has gone"))).await?;
            }
            Ok::<_, mpsc::error::SendError<_>>(())
        });
        Ok(Response::new(ReceiverStream::new(watched)))
    }
}

/// Serves for ever.
struct Steady;

#[tonic::async_trait]
#[traced_service]
impl health_server::Health for Steady {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(reply(ServingStatus::Serving)))
    }

    type WatchStream = foreign_services::Boxed<HealthCheckResponse>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        use tokio_stream::StreamExt as _;

        let first = tokio_stream::once(Ok(reply(ServingStatus::Serving)));
        Ok(Response::new(Box::pin(first.chain(tokio_stream::pending()))))
    }
}

#[tokio::test]
async fn each_is_one_rpc() {
    assert_each_is_one_rpc(
        Routes::new(HealthServer::new(ShortLived)),
        &["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"],
    )
    .await;
}

#[tokio::test]
async fn a_check_of_an_unknown_service_is_an_answer() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(HealthServer::new(ShortLived))).await;
    let request = HealthCheckRequest {
        service: "nobody".to_owned(),
    };
    let status = HealthClient::new(server.channel().await)
        .check(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);

    let span = telemetry.span().await;
    assert_eq!(span.name, "grpc.health.v1.Health/Check");
    assert_eq!(span.status, SpanStatus::Unset);
    assert_measured_once(&telemetry, "grpc.health.v1.Health/Check", "NOT_FOUND", false);
}

#[tokio::test]
async fn a_watch_ends_with_the_status_of_its_stream() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(HealthServer::new(ShortLived))).await;
    let request = HealthCheckRequest {
        service: "orders".to_owned(),
    };
    let mut changes = HealthClient::new(server.channel().await)
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    for status in [ServingStatus::Unknown, ServingStatus::Serving] {
        assert_eq!(changes.message().await.unwrap().unwrap().status(), status);
    }
    assert_eq!(changes.message().await.unwrap_err().code(), Code::Unavailable);

    let span = telemetry.span().await;
    assert_eq!(span.name, "grpc.health.v1.Health/Watch");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.status, SpanStatus::error("the registry has gone"));
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "UNAVAILABLE");
    assert_measured_once(&telemetry, "grpc.health.v1.Health/Watch", "UNAVAILABLE", true);
}

#[tokio::test]
async fn a_watch_lasts_until_its_watcher_goes_away() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(HealthServer::new(Steady))).await;
    let mut client = HealthClient::new(server.channel().await);
    let mut changes = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    changes.message().await.unwrap().unwrap();
    // The handler has returned before.
    assert_eq!(telemetry.ended_spans().len(), 0);
    assert_eq!(telemetry.metrics().active_request_count(), 1);

    drop(changes);
    let span = telemetry.span().await;
    assert_eq!(span.name, "grpc.health.v1.Health/Watch");
    assert_eq!(span.status, SpanStatus::Unset);
    assert_measured_once(&telemetry, "grpc.health.v1.Health/Watch", "CANCELLED", false);
}
