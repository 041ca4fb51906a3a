//! The services of a receiver, over gRPC and HTTP.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::post;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use tokio::sync::watch;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::behaviour::{Behaviour, logs_response, metrics_response, traces_response};
use super::received::{Content, Received};

/// The state that the services share with the collector.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) received: watch::Sender<Vec<Received>>,
    /// The times of all requests, whatever their answers.
    pub(super) requests: watch::Sender<Vec<Instant>>,
    pub(super) behaviour: Mutex<Behaviour>,
}

pub(super) fn routes(shared: &Arc<Shared>) -> Routes {
    macro_rules! grpc {
        ($server:ident) => {
            $server::new(Grpc(Arc::clone(shared))).accept_compressed(CompressionEncoding::Gzip)
        };
    }
    let grpc = Routes::new(grpc!(TraceServiceServer))
        .add_service(grpc!(MetricsServiceServer))
        .add_service(grpc!(LogsServiceServer));
    let http = Arc::clone(shared);
    // The end of the path determines the signal.
    let http = post(move |uri: Uri, headers: HeaderMap, body: Bytes| {
        let shared = Arc::clone(&http);
        async move { receive_http(&shared, &uri, headers, body).await }
    });
    let mut router = grpc.into_axum_router();
    for path in ["/v1/{signal}", "/{prefix}/v1/{signal}", "/own/{signal}"] {
        router = router.route(path, http.clone());
    }
    Routes::from(router)
}

impl Shared {
    /// Stores the message, and returns the number of rejected items, or the reason of the failure.
    async fn receive(&self, path: &str, headers: HeaderMap, content: Content) -> Result<i64, Behaviour> {
        let behaviour = self.behaviour.lock().unwrap().clone();
        // Later, since tests wait for it to change the behaviour.
        self.requests.send_modify(|requests| requests.push(Instant::now()));
        let rejected = match behaviour {
            Behaviour::Accept => 0,
            Behaviour::Hang => std::future::pending().await,
            Behaviour::Slow(pause) => {
                if !content.is_empty() {
                    tokio::time::sleep(pause).await;
                }
                0
            }
            Behaviour::PartialSuccess(count) => count,
            failure => return Err(failure),
        };
        let path = path.to_owned();
        self.received
            .send_modify(|received| received.push(Received { path, headers, content }));
        Ok(rejected)
    }
}

struct Grpc(Arc<Shared>);

/// Implements one of the three services, which differ only in names.
macro_rules! service {
    ($service:ident, $method:literal, $content:ident, $request:ident, $response:ident, $answer:ident) => {
        #[tonic::async_trait]
        impl $service for Grpc {
            async fn export(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let (metadata, _, message) = request.into_parts();
                let content = Content::$content(message);
                match self.0.receive($method, metadata.into_headers(), content).await {
                    Ok(rejected) => Ok(Response::new($answer(rejected))),
                    Err(failure) => Err(failure.status()),
                }
            }
        }
    };
}

service!(
    TraceService,
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Traces,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
    traces_response
);
service!(
    MetricsService,
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Metrics,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
    metrics_response
);
service!(
    LogsService,
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    Logs,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
    logs_response
);

async fn receive_http(shared: &Shared, uri: &Uri, headers: HeaderMap, body: Bytes) -> HttpResponse {
    let mut message = body.to_vec();
    if headers
        .get("content-encoding")
        .is_some_and(|encoding| encoding == "gzip")
    {
        let mut unzipped = Vec::new();
        GzDecoder::new(&message[..]).read_to_end(&mut unzipped).unwrap();
        message = unzipped;
    }
    let message = &message[..];
    let path = uri.path();
    let (content, answer): (_, fn(i64) -> Vec<u8>) = match path.rsplit('/').next() {
        Some("traces") => (Content::Traces(Message::decode(message).unwrap()), |rejected| {
            traces_response(rejected).encode_to_vec()
        }),
        Some("metrics") => (Content::Metrics(Message::decode(message).unwrap()), |rejected| {
            metrics_response(rejected).encode_to_vec()
        }),
        _ => (Content::Logs(Message::decode(message).unwrap()), |rejected| {
            logs_response(rejected).encode_to_vec()
        }),
    };
    let path = uri.path_and_query().map_or(path, |path| path.as_str());
    match shared.receive(path, headers, content).await {
        Ok(rejected) => ([("content-type", "application/x-protobuf")], answer(rejected)).into_response(),
        Err(failure) => failure.http_response(),
    }
}
