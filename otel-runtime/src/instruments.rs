//! The tracer and the instruments, made once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::global::{self, BoxedSpan, BoxedTracer};
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};
use opentelemetry::trace::{Span, SpanBuilder, TraceContextExt, Tracer};
use opentelemetry::{Context, InstrumentationScope, KeyValue};

use crate::semconv;

/// What a server records its RPCs with.
pub(crate) struct ServerInstruments {
    tracer: BoxedTracer,
    /// Whether the tracer has shown that it is a no-op. It stays one: it belongs to the provider that it was made by.
    tracer_is_no_op: AtomicBool,
    pub(crate) call_duration: Histogram<f64>,
    pub(crate) active_requests: UpDownCounter<i64>,
}

impl ServerInstruments {
    /// Those of the global providers as they were at the first call of this function.
    pub(crate) fn global() -> &'static Self {
        static GLOBAL: OnceLock<ServerInstruments> = OnceLock::new();
        GLOBAL.get_or_init(|| {
            let scope = InstrumentationScope::builder(semconv::SCOPE_NAME)
                .with_version(semconv::SCOPE_VERSION)
                .with_schema_url(semconv::SCHEMA_URL)
                .build();
            let meter = global::meter_with_scope(scope.clone());
            ServerInstruments {
                tracer: global::tracer_with_scope(scope),
                tracer_is_no_op: AtomicBool::new(false),
                call_duration: call_duration(&meter, &semconv::SERVER_CALL_DURATION),
                active_requests: active_requests(&meter, &semconv::SERVER_ACTIVE_REQUESTS),
            }
        })
    }

    /// Starts the span that `builder` describes, below the span in `parent`. `None` where no SDK is installed, and then nothing is described either.
    pub(crate) fn start_span(&self, parent: &Context, builder: impl FnOnce() -> SpanBuilder) -> Option<BoxedSpan> {
        if self.tracer_is_no_op.load(Ordering::Relaxed) {
            return None;
        }
        let span = self.tracer.build_with_context(builder(), parent);
        if has_id_of_its_own(&span, parent) {
            return Some(span);
        }
        // Where telemetry is suppressed, any tracer makes such a span.
        if !parent.is_telemetry_suppressed() {
            self.tracer_is_no_op.store(true, Ordering::Relaxed);
        }
        None
    }
}

/// Every tracer gives every span an id, sampled or not, but a no-op: its spans have their parent's, or none.
fn has_id_of_its_own(span: &BoxedSpan, parent: &Context) -> bool {
    let context = span.span_context();
    context.is_valid() && context.span_id() != parent.span().span_context().span_id()
}

fn call_duration(meter: &Meter, instrument: &semconv::Instrument) -> Histogram<f64> {
    meter
        .f64_histogram(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_boundaries(semconv::DURATION_BOUNDARIES.to_vec())
        .build()
}

fn active_requests(meter: &Meter, instrument: &semconv::Instrument) -> UpDownCounter<i64> {
    meter
        .i64_up_down_counter(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .build()
}

/// Attributes of a metric point. The SDK finds a point faster when its attributes come sorted.
pub(crate) fn sorted(mut attributes: Vec<KeyValue>) -> Box<[KeyValue]> {
    attributes.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    attributes.into_boxed_slice()
}
