//! The floor: the cost of the SDK, its API and the clock, without an instrumentation.
//!
//! The caller's span is a constant, active requests are an atomic that nobody reads, and handlers
//! neither wait nor fail. An instrumentation's own cost is what an RPC costs above the floor.
//!
//! [`Floor`] is the floor of an annotated service, [`Guarded`] of one with promises, and [`layer`]
//! of a layer.

mod guarded;
mod layer;

use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::task::{Context as TaskContext, Poll};
use std::time::{Instant, SystemTime};

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanBuilder, SpanContext, SpanKind, TraceContextExt, TraceFlags, TraceState, Tracer};
use opentelemetry::{Context, KeyValue};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::proto::Message;
use crate::proto::bench_server::Bench;
use crate::sdk::Mode;
use crate::service::{Repeated, error, repeated};

pub(crate) use guarded::Guarded;
pub(crate) use layer::{FloorClient, FloorServer};

pub(crate) struct Floor(pub(crate) Mode);

static TRACER: LazyLock<BoxedTracer> = LazyLock::new(|| global::tracer("floor"));
static ACTIVE: AtomicI64 = AtomicI64::new(0);

#[cfg(feature = "bound")]
static DURATION: LazyLock<opentelemetry::metrics::BoundHistogram<f64>> =
    LazyLock::new(|| histogram().bind(&attributes()));
#[cfg(not(feature = "bound"))]
static DURATION: LazyLock<(opentelemetry::metrics::Histogram<f64>, [KeyValue; 3])> =
    LazyLock::new(|| (histogram(), attributes()));

fn histogram() -> opentelemetry::metrics::Histogram<f64> {
    let boundaries = [
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    ];
    let meter = global::meter("floor");
    let histogram = meter.f64_histogram("rpc.server.call.duration").with_unit("s");
    histogram.with_boundaries(boundaries.to_vec()).build()
}

fn attributes() -> [KeyValue; 3] {
    [
        KeyValue::new("rpc.method", "bench.Bench/Unary"),
        KeyValue::new("rpc.status_code", "OK"),
        KeyValue::new("rpc.system.name", "grpc"),
    ]
}

fn record(seconds: f64) {
    #[cfg(feature = "bound")]
    DURATION.record(seconds);
    #[cfg(not(feature = "bound"))]
    DURATION.0.record(seconds, &DURATION.1);
}

/// An RPC that has started.
pub(crate) struct Started {
    start: Instant,
    /// The context with the span of the RPC, if there is an SDK for spans.
    context: Option<(Context, SystemTime, bool)>,
}

impl Started {
    /// Starts an RPC of a server.
    pub(crate) fn new(mode: Mode) -> Self {
        Started::below(mode, SpanKind::Server, || {
            let flags = TraceFlags::default().with_sampled(mode.caller_is_sampled());
            let caller = SpanContext::new(1_u128.into(), 2_u64.into(), flags, true, TraceState::NONE);
            Context::map_current(|current| current.with_remote_span_context(caller))
        })
    }

    fn below(mode: Mode, kind: SpanKind, parent: impl FnOnce() -> Context) -> Self {
        let start = Instant::now();
        // A propagator has to be called on both sides.
        global::get_text_map_propagator(|propagator: &dyn TextMapPropagator| propagator.fields().next().is_some());
        ACTIVE.fetch_add(1, Relaxed);
        let context = mode.has_spans().then(|| {
            let time = SystemTime::now();
            let parent = parent();
            let mut attributes = Vec::with_capacity(8);
            attributes.push(KeyValue::new("rpc.system.name", "grpc"));
            attributes.push(KeyValue::new("rpc.method", "bench.Bench/Unary"));
            let mut builder = SpanBuilder::from_name("bench.Bench/Unary");
            builder.span_kind = Some(kind);
            builder.start_time = Some(time);
            builder.attributes = Some(attributes);
            let span = TRACER.build_with_context(builder, &parent);
            let records = span.is_recording();
            let context = if records {
                parent.with_span(span)
            } else {
                parent.with_remote_span_context(span.span_context().clone())
            };
            (context, time, records)
        });
        Started { start, context }
    }

    fn inside<T>(&self, run: impl FnOnce() -> T) -> T {
        let _current = self.context.as_ref().map(|(context, ..)| context.clone().attach());
        run()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let elapsed = self.start.elapsed();
        ACTIVE.fetch_sub(1, Relaxed);
        record(elapsed.as_secs_f64());
        if let Some((context, time, true)) = &self.context {
            let span = context.span();
            span.set_attribute(KeyValue::new("rpc.status_code", "OK"));
            span.end_with_timestamp(*time + elapsed);
        }
    }
}

/// A future whose context is current while it is polled.
pub(crate) struct Traced {
    stream: Repeated,
    started: Started,
}

impl Stream for Traced {
    type Item = Result<Message, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let Traced { stream, started } = &mut *self;
        started.inside(|| Pin::new(stream).poll_next(cx))
    }
}

#[tonic::async_trait]
impl Bench for Floor {
    type StreamStream = Traced;

    async fn unary(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Started::new(self.0).inside(|| Ok(Response::new(request.into_inner())))
    }

    async fn stream(&self, request: Request<Message>) -> Result<Response<Traced>, Status> {
        let started = Started::new(self.0);
        let stream = started.inside(|| repeated(request.into_inner()));
        Ok(Response::new(Traced { stream, started }))
    }

    async fn error(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        Started::new(self.0).inside(|| Err(error()))
    }
}
