//! Competing crates, each set up as its own documentation says.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use opentelemetry::metrics::{Histogram, UpDownCounter};
use opentelemetry::trace::FutureExt;
use opentelemetry::{KeyValue, global};
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tower::Layer;
use tracing_subscriber::layer::SubscriberExt;

use crate::by_hand::Metadata;
use crate::proto::Message;
use crate::proto::bench_server::{Bench, BenchServer};
use crate::rpc::{Answers, Rpc, Shape, of_client, to_server};
use crate::sdk::Mode;
use crate::service::{Bare, Repeated, error, repeated};
use crate::variant::{BARE, BARE_CLIENT, Variant, Whose};

fn routes() -> Routes {
    Routes::new(BenchServer::new(Bare))
}

const fn competitor(name: &'static str, lacks: &'static str, make: fn(Mode, Shape) -> Rpc) -> Variant {
    Variant {
        name,
        base: BARE,
        whose: Whose::Others,
        can_be_bound: false,
        lacks,
        make,
    }
}

pub(crate) fn all() -> Vec<Variant> {
    vec![
        competitor(
            "tracing::instrument",
            "a stream only up to its start; active requests stay up where a handler is dropped or panics",
            |mode, shape| {
                subscribe(mode);
                to_server(Routes::new(BenchServer::new(Tutorial)), mode, shape)
            },
        ),
        competitor(
            "tower-otel 0.12.0",
            "names of before 1.39; metrics of HTTP, without method and gRPC status; ends at the response's headers, so a stream that fails is OK; takes up all headers",
            |mode, shape| {
                subscribe(mode);
                let metrics = tower_otel::metrics::HttpLayer::server(&global::meter("bench"));
                let spans = tower_otel::trace::GrpcLayer::server(tracing::Level::INFO);
                to_server(spans.layer(metrics.layer(routes())), mode, shape)
            },
        ),
        competitor(
            "tower-http-opentelemetry 0.0.6",
            "HTTP only: neither method nor gRPC status in spans and metrics; no active requests unless asked for",
            |mode, shape| {
                subscribe(mode);
                let layer = tower_http_opentelemetry::http::server::HttpServerTelemetryLayer::new();
                to_server(layer.layer(routes()), mode, shape)
            },
        ),
        competitor(
            "opentelemetry-instrumentation-tower 0.19.0",
            "HTTP only: neither method nor gRPC status in metrics, no gRPC status in spans; ends at the response's headers",
            |mode, shape| {
                let layer = opentelemetry_instrumentation_tower::http::server::LayerBuilder::builder().build();
                to_server(layer.expect("a layer").layer(routes()), mode, shape)
            },
        ),
        competitor(
            "tonic-tracing-opentelemetry 0.42.1",
            "no metrics; names of before 1.39; ends at the response's headers, so a stream that fails is OK",
            |mode, shape| {
                subscribe(mode);
                let layer = tonic_tracing_opentelemetry::middleware::server::OtelGrpcLayer::default();
                to_server(layer.layer(routes()), mode, shape)
            },
        ),
        competitor(
            "tonic-otel-layer 0.2.0",
            "no spans; names of its own; ends at the response's headers, so a stream that fails is OK; on opentelemetry 0.32",
            |mode, shape| {
                install_032(mode);
                let layer = tonic_otel_layer::MetricsLayerBuilder::new().build();
                to_server(layer.layer(routes()), mode, shape)
            },
        ),
        competitor(
            "fastrace-tonic 0.2.0",
            "no metrics; not OpenTelemetry's spans but its own, without attributes and status; ends at the response's headers; its collector's thread is not counted",
            |mode, shape| {
                if mode.has_spans() {
                    fastrace::set_reporter(Nowhere, fastrace::collector::Config::default());
                }
                let layer = fastrace_tonic::FastraceServerLayer::default();
                to_server(layer.layer(routes()), mode, shape)
            },
        ),
    ]
}

pub(crate) fn clients() -> Vec<Variant> {
    vec![Variant {
        name: "tonic-tracing-opentelemetry 0.42.1, client",
        base: BARE_CLIENT,
        whose: Whose::Others,
        can_be_bound: false,
        lacks: "no metrics; names of before 1.39; ends at the response's headers, so a stream that fails is OK",
        make: |mode, shape| {
            subscribe(mode);
            let layer = tonic_tracing_opentelemetry::middleware::client::OtelGrpcLayer;
            of_client(layer.layer(Answers::new()), mode, shape)
        },
    }]
}

/// A subscriber that turns spans of `tracing` into OpenTelemetry's.
fn subscribe(mode: Mode) {
    if mode.has_spans() {
        let layer = tracing_opentelemetry::layer().with_tracer(global::tracer("bench"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    }
}

/// The SDK of `tonic-otel-layer`.
fn install_032(mode: Mode) {
    use opentelemetry_sdk_032::metrics::{ManualReader, SdkMeterProvider};

    if mode.has_metrics() {
        let meters = SdkMeterProvider::builder().with_reader(ManualReader::default()).build();
        opentelemetry_032::global::set_meter_provider(meters);
    }
}

struct Nowhere;

impl fastrace::collector::Reporter for Nowhere {
    fn report(&mut self, _: Vec<fastrace::collector::SpanRecord>) {}
}

/// A service as in tutorials: `#[tracing::instrument]`, and metrics by hand.
struct Tutorial;

struct Instruments {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

static INSTRUMENTS: LazyLock<Arc<Instruments>> = LazyLock::new(|| {
    let meter = global::meter("bench");
    Arc::new(Instruments {
        duration: meter.f64_histogram("rpc.server.call.duration").with_unit("s").build(),
        active: meter.i64_up_down_counter("rpc.server.active_requests").build(),
    })
});

async fn measured<T>(method: &'static str, handler: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let start = Instant::now();
    let labels = [
        KeyValue::new("rpc.system.name", "grpc"),
        KeyValue::new("rpc.method", method),
    ];
    INSTRUMENTS.active.add(1, &labels);
    let result = handler.await;
    INSTRUMENTS.active.add(-1, &labels);
    let code = result
        .as_ref()
        .map_or_else(|status| i64::from(i32::from(status.code())), |_| 0);
    let [system, method] = labels;
    let ended = [system, method, KeyValue::new("rpc.grpc.status_code", code)];
    INSTRUMENTS.duration.record(start.elapsed().as_secs_f64(), &ended);
    let span = tracing::Span::current();
    span.record("rpc.grpc.status_code", code);
    result
}

fn caller<T>(request: &Request<T>) -> opentelemetry::Context {
    global::get_text_map_propagator(|propagator| propagator.extract(&Metadata(request.metadata())))
}

impl Tutorial {
    #[tracing::instrument(
        name = "bench.Bench/Unary",
        skip_all,
        fields(otel.kind = "server", rpc.system = "grpc", rpc.service = "bench.Bench", rpc.method = "Unary", rpc.grpc.status_code)
    )]
    async fn do_unary(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        measured(
            "bench.Bench/Unary",
            async move { Ok(Response::new(request.into_inner())) },
        )
        .await
    }

    #[tracing::instrument(
        name = "bench.Bench/Stream",
        skip_all,
        fields(otel.kind = "server", rpc.system = "grpc", rpc.service = "bench.Bench", rpc.method = "Stream", rpc.grpc.status_code)
    )]
    async fn do_stream(&self, request: Request<Message>) -> Result<Response<Repeated>, Status> {
        measured("bench.Bench/Stream", async move {
            Ok(Response::new(repeated(request.into_inner())))
        })
        .await
    }

    #[tracing::instrument(
        name = "bench.Bench/Error",
        skip_all,
        fields(otel.kind = "server", rpc.system = "grpc", rpc.service = "bench.Bench", rpc.method = "Error", rpc.grpc.status_code)
    )]
    async fn do_error(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        measured("bench.Bench/Error", async { Err(error()) }).await
    }
}

#[tonic::async_trait]
impl Bench for Tutorial {
    type StreamStream = Repeated;

    async fn unary(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let caller = caller(&request);
        self.do_unary(request).with_context(caller).await
    }

    async fn stream(&self, request: Request<Message>) -> Result<Response<Repeated>, Status> {
        let caller = caller(&request);
        self.do_stream(request).with_context(caller).await
    }

    async fn error(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let caller = caller(&request);
        self.do_error(request).with_context(caller).await
    }
}
