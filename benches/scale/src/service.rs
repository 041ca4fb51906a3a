//! The service: bare, with the attribute, and with the fewest possible calls of the SDK.

use std::sync::LazyLock;
use std::time::Instant;

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanBuilder, SpanContext, SpanKind, TraceContextExt, TraceFlags, TraceState, Tracer};
use opentelemetry::{Context, KeyValue};
use tokio_stream::Empty;
use tonic::{Request, Response, Status};

use crate::proto::Message;
use crate::proto::bench_server::Bench;

macro_rules! service {
    ($(#[$attribute:meta])* $name:ident, $unary:expr) => {
        pub(crate) struct $name;

        $(#[$attribute])*
        #[tonic::async_trait]
        impl Bench for $name {
            type StreamStream = Empty<Result<Message, Status>>;

            async fn unary(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                let unary: fn(Request<Message>) -> Response<Message> = $unary;
                Ok(unary(request))
            }

            async fn stream(&self, _: Request<Message>) -> Result<Response<Self::StreamStream>, Status> {
                Ok(Response::new(tokio_stream::empty()))
            }

            async fn error(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
                Err(Status::not_found("no such thing"))
            }
        }
    };
}

fn echo(request: Request<Message>) -> Response<Message> {
    Response::new(request.into_inner())
}

service! { Bare, echo }
service! { #[otel_runtime::traced_service] Traced, echo }
service! { Sdk, recorded }

static TRACER: LazyLock<BoxedTracer> = LazyLock::new(|| global::tracer("scale"));

#[cfg(feature = "bound")]
static DURATION: LazyLock<opentelemetry::metrics::BoundHistogram<f64>> =
    LazyLock::new(|| histogram().bind(&attributes()));
#[cfg(not(feature = "bound"))]
static DURATION: LazyLock<(opentelemetry::metrics::Histogram<f64>, [KeyValue; 3])> =
    LazyLock::new(|| (histogram(), attributes()));

fn histogram() -> opentelemetry::metrics::Histogram<f64> {
    let meter = global::meter("scale");
    meter.f64_histogram("rpc.server.call.duration").with_unit("s").build()
}

fn attributes() -> [KeyValue; 3] {
    [
        KeyValue::new("rpc.method", "bench.Bench/Unary"),
        KeyValue::new("rpc.status_code", "OK"),
        KeyValue::new("rpc.system.name", "grpc"),
    ]
}

/// Records a span, below a caller that is known without a header, and a duration.
fn recorded(request: Request<Message>) -> Response<Message> {
    let start = Instant::now();
    global::get_text_map_propagator(|propagator: &dyn TextMapPropagator| propagator.fields().next().is_some());
    let flags = TraceFlags::default().with_sampled(true);
    let caller = SpanContext::new(1_u128.into(), 2_u64.into(), flags, true, TraceState::NONE);
    let parent = Context::map_current(|current| current.with_remote_span_context(caller));
    let mut builder = SpanBuilder::from_name("bench.Bench/Unary");
    builder.span_kind = Some(SpanKind::Server);
    builder.attributes = Some(attributes().to_vec());
    let mut span = TRACER.build_with_context(builder, &parent);
    let response = echo(request);
    span.end();
    let seconds = start.elapsed().as_secs_f64();
    #[cfg(feature = "bound")]
    DURATION.record(seconds);
    #[cfg(not(feature = "bound"))]
    DURATION.0.record(seconds, &DURATION.1);
    response
}
