//! Propagator for W3C Trace Context.

use std::cell::Cell;
use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::global::BoxedSpan;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{Span, SpanContext, TraceContextExt, TraceFlags, TraceId};

use super::traceparent::{self, RANDOM};
use super::tracestate;

pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";

static FIELDS: LazyLock<[String; 2]> = LazyLock::new(|| [String::from(TRACEPARENT), String::from(TRACESTATE)]);

/// Propagator for [W3C Trace Context, level 2](https://www.w3.org/TR/trace-context-2/).
///
/// Reads strictly, and writes what it has read: the sampled and the random flag, and every valid
/// member of `tracestate`. That includes the keys that `TraceState` cannot hold, and the members of
/// consistent probability sampling (`ot=th:…;rv:…`).
///
/// * An invalid `traceparent` is ignored, and `tracestate` with it. So are two lines of it.
/// * A later version is read up to the fields of version 00. Undefined flags are propagated as
///   zero.
/// * An invalid `tracestate` is discarded as a whole: a member outside of the grammar, or more than
///   32 members. Its lines form one list. Duplicates are kept. An empty one is never written.
/// * A `tracestate` beyond 4,096 bytes loses whole members: first those of more than 128
///   characters, then others, each time from the end.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::propagation::TextMapPropagator;
/// use otel_runtime::propagation::TraceContextPropagator;
///
/// let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";
/// let received = HashMap::from([
///     ("traceparent".to_owned(), traceparent.to_owned()),
///     ("tracestate".to_owned(), "ot=th:8, tenant@@vendor=1".to_owned()),
/// ]);
/// let context = TraceContextPropagator::new().extract(&received);
///
/// let mut sent = HashMap::new();
/// TraceContextPropagator::new().inject_context(&context, &mut sent);
/// assert_eq!(sent["traceparent"], traceparent);
/// assert_eq!(sent["tracestate"], "ot=th:8,tenant@@vendor=1");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceContextPropagator {
    _private: (),
}

impl TraceContextPropagator {
    /// Creates the propagator.
    #[must_use]
    pub const fn new() -> Self {
        TraceContextPropagator { _private: () }
    }
}

impl TextMapPropagator for TraceContextPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let traceparent = traceparent::format(span, flags(context, span));
        injector.set(TRACEPARENT, String::from_utf8_lossy(&traceparent).into_owned());
        if let Some(tracestate) = tracestate::format(context, span) {
            injector.set(TRACESTATE, tracestate);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let lines = extractor.get_all(TRACEPARENT).unwrap_or_default();
        let [line] = lines[..] else {
            return context.clone();
        };
        let Some(parent) = traceparent::parse(line.as_bytes()) else {
            return context.clone();
        };
        let lines = extractor.get_all(TRACESTATE).unwrap_or_default();
        let mut lines = lines.iter().map(|line| line.as_bytes());
        tracestate::with_remote_span(context, &mut lines, &|state| parent.span_context(state))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

/// Context value with a trace whose id is random, though the flags of its spans may not say so.
struct RandomTrace(TraceId);

thread_local! {
    /// The last random trace id that was generated on this thread.
    static LAST_RANDOM: Cell<TraceId> = const { Cell::new(TraceId::INVALID) };
}

/// Tells that a trace id is random, so that its traces get the random flag.
///
/// Call this in `new_trace_id` of an SDK's id generator, on the thread that starts the span. At
/// least the last 7 bytes of the id must be random ([W3C Trace Context, level 2][1]). The spans of
/// the SDK for Rust lack the flag, so this crate's layers write it instead, for the traces that
/// they start. `otel_setup` does so with its generator.
///
/// [1]: https://www.w3.org/TR/trace-context-2/#random-trace-id-flag
///
/// # Example
///
/// ```
/// use opentelemetry::trace::{SpanId, TraceId};
/// use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
/// use otel_runtime::propagation;
///
/// #[derive(Debug)]
/// struct RandomIds(RandomIdGenerator);
///
/// impl IdGenerator for RandomIds {
///     fn new_trace_id(&self) -> TraceId {
///         let id = self.0.new_trace_id();
///         propagation::mark_random(id);
///         id
///     }
///
///     fn new_span_id(&self) -> SpanId {
///         self.0.new_span_id()
///     }
/// }
/// ```
pub fn mark_random(trace_id: TraceId) {
    let _ = LAST_RANDOM.try_with(|last| last.set(trace_id));
}

/// Returns the flags to propagate: those of the span, and the random flag if its trace has it.
#[inline]
pub(super) fn flags(context: &Context, span: &SpanContext) -> TraceFlags {
    match context.get::<RandomTrace>() {
        Some(RandomTrace(id)) if *id == span.trace_id() => span.trace_flags() | RANDOM,
        _ => span.trace_flags(),
    }
}

/// Returns `base` with a new span that the SDK records, a child of the span in `parent`.
#[inline]
pub(crate) fn with_recording_span(base: &Context, parent: &Context, span: BoxedSpan) -> Context {
    match take_last_random() {
        // Asking a recording span for its span context would cost a lock.
        None => base.with_span(span),
        Some(last) => with_new_span(base, parent, span, last),
    }
}

#[cold]
fn with_new_span(base: &Context, parent: &Context, span: BoxedSpan, last_random: TraceId) -> Context {
    let is_root = !parent.span().span_context().is_valid();
    let trace_id = span.span_context().trace_id();
    let context = base.with_span(span);
    if is_root && trace_id == last_random {
        with_random_trace(context, trace_id)
    } else {
        context
    }
}

/// Returns the span context of a new span that the SDK does not record, a child of `parent`.
///
/// Such a span loses the random flag of its parent in the SDK, so this restores it.
#[inline]
pub(crate) fn non_recording(span: &SpanContext, parent: &SpanContext) -> SpanContext {
    if parent.trace_flags() & RANDOM == TraceFlags::default() && take_last_random() != Some(span.trace_id()) {
        return span.clone();
    }
    with_random_flag(span, parent)
}

#[cold]
fn with_random_flag(span: &SpanContext, parent: &SpanContext) -> SpanContext {
    let is_root = !parent.is_valid();
    let flags = if is_root || parent.trace_flags() & RANDOM == RANDOM && parent.trace_id() == span.trace_id() {
        span.trace_flags() | RANDOM
    } else {
        span.trace_flags()
    };
    let trace_state = span.trace_state().clone();
    SpanContext::new(span.trace_id(), span.span_id(), flags, span.is_remote(), trace_state)
}

/// Returns `base` with the span context of a span that is [not recording](non_recording).
#[inline]
pub(crate) fn with_non_recording_span(base: &Context, span: SpanContext) -> Context {
    if span.trace_flags() & RANDOM == TraceFlags::default() {
        return base.with_remote_span_context(span);
    }
    // Spans of the SDK below this one lose the flag again.
    let trace_id = span.trace_id();
    with_random_trace(base.with_remote_span_context(span), trace_id)
}

/// Takes the last random trace id that was generated on this thread.
#[inline]
fn take_last_random() -> Option<TraceId> {
    let last = LAST_RANDOM.try_with(|last| last.replace(TraceId::INVALID));
    last.ok().filter(|last| *last != TraceId::INVALID)
}

#[cold]
fn with_random_trace(context: Context, trace_id: TraceId) -> Context {
    match context.get::<RandomTrace>() {
        Some(RandomTrace(noted)) if *noted == trace_id => context,
        _ => context.with_value(RandomTrace(trace_id)),
    }
}
