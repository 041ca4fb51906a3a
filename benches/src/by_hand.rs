//! The best that one writes by hand on OpenTelemetry's API.
//!
//! The tracer, the instruments and their sorted attributes are made once. The span and the metrics
//! are those of otel-runtime, without `server.address` and `network.peer.address`. They end where a
//! response stream starts.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::{Histogram, UpDownCounter};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{FutureExt, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tonic::metadata::{KeyRef, MetadataMap};
use tonic::{Request, Response, Status};

use crate::proto::Message;
use crate::proto::bench_server::Bench;
use crate::service::{Repeated, error, repeated};

pub(crate) struct ByHand;

/// An extractor for metadata.
pub(crate) struct Metadata<'a>(pub(crate) &'a MetadataMap);

impl Extractor for Metadata<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        let names = self.0.keys().map(|key| match key {
            KeyRef::Ascii(key) => key.as_str(),
            KeyRef::Binary(key) => key.as_str(),
        });
        names.collect()
    }
}

struct Method {
    name: &'static str,
    #[cfg(not(feature = "bound"))]
    labels: [KeyValue; 2],
    #[cfg(not(feature = "bound"))]
    ended: [KeyValue; 3],
    #[cfg(feature = "bound")]
    active: opentelemetry::metrics::BoundUpDownCounter<i64>,
    #[cfg(feature = "bound")]
    duration: opentelemetry::metrics::BoundHistogram<f64>,
}

static TRACER: LazyLock<BoxedTracer> = LazyLock::new(|| global::tracer("by-hand"));
static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    let boundaries = [
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    ];
    let meter = global::meter("by-hand");
    let histogram = meter.f64_histogram("rpc.server.call.duration").with_unit("s");
    histogram.with_boundaries(boundaries.to_vec()).build()
});
static ACTIVE: LazyLock<UpDownCounter<i64>> = LazyLock::new(|| {
    global::meter("by-hand")
        .i64_up_down_counter("rpc.server.active_requests")
        .build()
});

impl Method {
    fn new(name: &'static str, code: &'static str) -> Self {
        let method = KeyValue::new("rpc.method", name);
        let system = KeyValue::new("rpc.system.name", "grpc");
        let labels = [method.clone(), system.clone()];
        let ended = [method, KeyValue::new("rpc.status_code", code), system];
        Method {
            name,
            #[cfg(feature = "bound")]
            active: ACTIVE.bind(&labels),
            #[cfg(feature = "bound")]
            duration: DURATION.bind(&ended),
            #[cfg(not(feature = "bound"))]
            labels,
            #[cfg(not(feature = "bound"))]
            ended,
        }
    }

    fn count(&self, change: i64) {
        #[cfg(feature = "bound")]
        self.active.add(change);
        #[cfg(not(feature = "bound"))]
        ACTIVE.add(change, &self.labels);
    }

    fn record(&self, seconds: f64) {
        #[cfg(feature = "bound")]
        self.duration.record(seconds);
        #[cfg(not(feature = "bound"))]
        DURATION.record(seconds, &self.ended);
    }

    async fn run<T>(
        &self,
        metadata: &MetadataMap,
        handler: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let (start, time) = (Instant::now(), SystemTime::now());
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Metadata(metadata)));
        let span = TRACER
            .span_builder(self.name)
            .with_kind(SpanKind::Server)
            .with_start_time(time)
            .with_attributes([
                KeyValue::new("rpc.system.name", "grpc"),
                KeyValue::new("rpc.method", self.name),
            ])
            .start_with_context(&*TRACER, &parent);
        let context: Context = parent.with_span(span);
        self.count(1);
        let result = handler.with_context(context.clone()).await;
        self.count(-1);
        let elapsed = start.elapsed();
        self.record(elapsed.as_secs_f64());
        let span = context.span();
        let code = if result.is_ok() { "OK" } else { "NOT_FOUND" };
        span.set_attribute(KeyValue::new("rpc.status_code", code));
        span.end_with_timestamp(time + elapsed);
        result
    }
}

static UNARY: LazyLock<Method> = LazyLock::new(|| Method::new("bench.Bench/Unary", "OK"));
static STREAM: LazyLock<Method> = LazyLock::new(|| Method::new("bench.Bench/Stream", "OK"));
static ERROR: LazyLock<Method> = LazyLock::new(|| Method::new("bench.Bench/Error", "NOT_FOUND"));

#[tonic::async_trait]
impl Bench for ByHand {
    type StreamStream = Repeated;

    async fn unary(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let (metadata, _, message) = request.into_parts();
        UNARY.run(&metadata, async move { Ok(Response::new(message)) }).await
    }

    async fn stream(&self, request: Request<Message>) -> Result<Response<Repeated>, Status> {
        let (metadata, _, message) = request.into_parts();
        STREAM
            .run(&metadata, async move { Ok(Response::new(repeated(message))) })
            .await
    }

    async fn error(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let (metadata, _, _) = request.into_parts();
        ERROR.run(&metadata, async move { Err(error()) }).await
    }
}
