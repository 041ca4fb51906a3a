//! An OTLP receiver for gRPC and HTTP that stores all messages, and can be made to misbehave.
//!
//! Messages have the default limits: 4 MiB over gRPC, and 2 MB over HTTP.

mod answers;

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

pub use self::answers::FORBIDDEN;
use self::answers::{logs_response, metrics_response, traces_response};
use crate::server::TIMEOUT;

/// An OTLP receiver on a free port of the loopback interface, which runs until it is dropped.
///
/// The receiver has its own threads, so tests may block.
#[derive(Debug)]
pub struct Collector {
    /// The address that it listens on, for both gRPC and HTTP.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Shared {
    received: watch::Sender<Vec<Received>>,
    /// The times of all requests, whatever their answers.
    requests: watch::Sender<Vec<Instant>>,
    behaviour: Mutex<Behaviour>,
}

/// The behaviour of the receiver on an export request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Stores the message, and answers with success.
    Accept,
    /// Never answers, and stores nothing.
    Hang,
    /// Stores the message, and answers with success: after a delay, unless the message is empty.
    Slow(Duration),
    /// Fails with `UNAVAILABLE`, or 503, which exporters may retry.
    Unavailable,
    /// Fails with `INVALID_ARGUMENT`, or 400, which exporters must not retry.
    Refuse,
    /// Stores the message, and answers that this number of items was rejected.
    PartialSuccess(i64),
    /// Fails with `UNAVAILABLE`, or 503, and asks to be left alone for this time.
    Throttle(Duration),
    /// Fails with `PERMISSION_DENIED`, or 403, and says why.
    Forbid,
    /// Answers HTTP requests with success and a web page, and fails with `UNAUTHENTICATED`.
    WebPage,
}

/// A received message.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path of the URL, with its query, or of the gRPC method.
    pub path: String,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The contents of the message.
    pub content: Content,
}

/// The contents of a message.
#[derive(Clone, Debug)]
pub enum Content {
    /// A message to `/v1/traces`.
    Traces(ExportTraceServiceRequest),
    /// A message to `/v1/metrics`.
    Metrics(ExportMetricsServiceRequest),
    /// A message to `/v1/logs`.
    Logs(ExportLogsServiceRequest),
}

impl Collector {
    /// Starts a receiver without TLS.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts a receiver on the address of one that is gone.
    #[must_use]
    pub fn start_at(address: SocketAddr) -> Self {
        Self::run(address, Server::builder().accept_http1(true))
    }

    /// Starts a receiver that speaks gRPC only.
    #[must_use]
    pub fn start_grpc() -> Self {
        Self::run(SocketAddr::from(([127, 0, 0, 1], 0)), Server::builder())
    }

    /// Starts a receiver with TLS.
    #[must_use]
    pub fn start_with(tls: ServerTlsConfig) -> Self {
        let server = Server::builder().accept_http1(true).tls_config(tls).unwrap();
        Self::run(SocketAddr::from(([127, 0, 0, 1], 0)), server)
    }

    fn run(address: SocketAddr, mut server: Server) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            received: watch::Sender::default(),
            requests: watch::Sender::default(),
            behaviour: Mutex::new(Behaviour::Accept),
        });
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let routes = routes(&shared);
        runtime.spawn(async move {
            let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
            let server = server.add_routes(routes).serve_with_incoming(incoming);
            server.await.unwrap();
        });
        Collector {
            address,
            shared,
            runtime: Some(runtime),
        }
    }

    /// Returns the collector's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the behaviour for the following requests.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// Returns all messages received so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.borrow().clone()
    }

    /// Waits until the received messages meet a condition, and returns them.
    pub fn wait_until(&self, condition: impl FnMut(&Vec<Received>) -> bool) -> Vec<Received> {
        let mut received = self.shared.received.subscribe();
        let waiting = async {
            timeout(TIMEOUT, received.wait_for(condition))
                .await
                .map(|found| found.unwrap().clone())
        };
        let runtime = self.runtime.as_ref().expect("it runs until it is dropped");
        runtime.block_on(waiting).expect("the condition is met in time")
    }

    /// Waits for this number of requests, and returns the times of all.
    pub fn wait_for_requests(&self, count: usize) -> Vec<Instant> {
        let mut requests = self.shared.requests.subscribe();
        let waiting = async {
            let enough = requests.wait_for(|requests| requests.len() >= count);
            timeout(TIMEOUT, enough).await.map(|found| found.unwrap().clone())
        };
        let runtime = self.runtime.as_ref().expect("it runs until it is dropped");
        runtime.block_on(waiting).expect("enough requests in time")
    }

    /// Discards all messages received so far, and the times of their requests.
    pub fn clear(&self) {
        self.shared.received.send_modify(Vec::clear);
        self.shared.requests.send_modify(Vec::clear);
    }

    /// Returns the received spans.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.received()
            .into_iter()
            .flat_map(|received| received.spans())
            .collect()
    }

    /// Returns the received log records.
    #[must_use]
    pub fn log_records(&self) -> Vec<LogRecord> {
        self.received()
            .into_iter()
            .flat_map(|received| received.log_records())
            .collect()
    }

    /// Returns the received metrics.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.received()
            .into_iter()
            .flat_map(|received| received.metrics())
            .collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // An ordinary shutdown would wait for hanging requests.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Returns an address that no server listens on.
#[must_use]
pub fn unused_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Content {
    fn is_empty(&self) -> bool {
        match self {
            Content::Traces(request) => request.resource_spans.is_empty(),
            Content::Metrics(request) => request.resource_metrics.is_empty(),
            Content::Logs(request) => request.resource_logs.is_empty(),
        }
    }
}

impl Received {
    /// Returns the spans of the message.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let Content::Traces(request) = &self.content else {
            return Vec::new();
        };
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Returns the log records of the message.
    #[must_use]
    pub fn log_records(&self) -> Vec<LogRecord> {
        let Content::Logs(request) = &self.content else {
            return Vec::new();
        };
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        scopes.flat_map(|scope| scope.log_records.clone()).collect()
    }

    /// Returns the metrics of the message.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let Content::Metrics(request) = &self.content else {
            return Vec::new();
        };
        let scopes = request
            .resource_metrics
            .iter()
            .flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics.clone()).collect()
    }

    /// Returns a header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Returns the number of data points of a metric.
#[must_use]
pub fn points(metric: &Metric) -> usize {
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    }
}

fn routes(shared: &Arc<Shared>) -> Routes {
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
