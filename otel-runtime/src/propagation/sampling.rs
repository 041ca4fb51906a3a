//! Sampling decisions of callers beyond the sampled flag, and their propagation.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::traceparent::RANDOM;

/// Sampling decision on a trace, in the terms of [B3](https://github.com/openzipkin/b3-propagation#sampling-state).
///
/// An OpenTelemetry span context is either sampled or not. B3, Jaeger, X-Ray and Google Cloud Trace
/// have more states. Their propagators store the state in the context. Requires the Cargo feature
/// `propagators`.
///
/// A caller that defers the decision leaves it to the callee. OpenTelemetry's samplers treat such a
/// parent as not sampled. A custom sampler can read the state from the parent context:
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::propagation::TextMapPropagator;
/// use otel_runtime::propagation::{B3Propagator, SamplingState};
///
/// let headers = HashMap::from([("b3".to_owned(), "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90".to_owned())]);
/// let parent = B3Propagator::single().extract(&headers);
/// assert_eq!(SamplingState::from_context(&parent), Some(SamplingState::Defer));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamplingState {
    /// Deferred: the callee decides.
    Defer,
    /// Not sampled.
    Deny,
    /// Sampled.
    Accept,
    /// Sampled with the debug flag: no later sampling stage should drop the trace.
    Debug,
}

impl SamplingState {
    /// Returns the sampling state of the span in `context`.
    ///
    /// If `context` has no span, returns the caller's decision on the trace that starts here, or
    /// `None` if the caller sent no decision.
    #[must_use]
    pub fn from_context(context: &Context) -> Option<Self> {
        let decision = remote_decision(context);
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return decision
                .filter(|decision| decision.has_no_span())
                .map(|decision| decision.state);
        }
        match decision {
            Some(decision) if decision.makes_debug(span) => Some(SamplingState::Debug),
            _ if span.is_sampled() => Some(SamplingState::Accept),
            Some(decision) if decision.defers(span) => Some(SamplingState::Defer),
            _ => Some(SamplingState::Deny),
        }
    }

    fn flags(self) -> TraceFlags {
        match self {
            SamplingState::Defer | SamplingState::Deny => TraceFlags::NOT_SAMPLED,
            // The OpenTelemetry specification requires that debug implies sampled.
            SamplingState::Accept | SamplingState::Debug => TraceFlags::SAMPLED,
        }
    }
}

/// Sampling decision of a remote caller, with the ids of the span that it is about.
///
/// Derived contexts inherit the decision, but may belong to another trace. So the ids are compared.
struct RemoteDecision {
    state: SamplingState,
    trace_id: TraceId,
    span_id: SpanId,
}

/// Context value with the remote decision. `None` clears it: a context cannot remove a value.
struct RemoteSampling(Option<RemoteDecision>);

/// Returns the remote decision stored in `context`, if any.
fn remote_decision(context: &Context) -> Option<&RemoteDecision> {
    context.get::<RemoteSampling>()?.0.as_ref()
}

/// Returns `context` without the remote caller's sampling decision.
pub(super) fn without_decision(context: Context) -> Context {
    if remote_decision(&context).is_some() {
        context.with_value(RemoteSampling(None))
    } else {
        context
    }
}

impl RemoteDecision {
    /// Returns `true` if the caller sent a decision without ids.
    fn has_no_span(&self) -> bool {
        self.trace_id == TraceId::INVALID
    }

    /// Returns `true` if `span` inherits the debug flag.
    ///
    /// All spans of the caller's trace do, or of the new trace if the caller sent no ids.
    fn makes_debug(&self, span: &SpanContext) -> bool {
        self.state == SamplingState::Debug && (self.has_no_span() || self.trace_id == span.trace_id())
    }

    /// Returns `true` if the decision on `span` is deferred.
    ///
    /// Only the caller's own span is: starting a span in this process makes the decision.
    fn defers(&self, span: &SpanContext) -> bool {
        self.state == SamplingState::Defer && self.trace_id == span.trace_id() && self.span_id == span.span_id()
    }
}

/// Returns `context` with the caller's span.
///
/// Formats without a `tracestate` pass `TraceState::NONE`.
pub(super) fn with_remote_span(
    context: &Context,
    trace_id: TraceId,
    span_id: SpanId,
    state: SamplingState,
    trace_state: &TraceState,
) -> Context {
    let span = SpanContext::new(trace_id, span_id, state.flags(), true, trace_state.clone());
    with_remote_span_and_state(context, &span, state)
}

/// Returns `context` with the caller's span, whose flags tell all of its decision.
pub(super) fn with_remote_span_context(context: &Context, span: &SpanContext) -> Context {
    let state = if span.is_sampled() {
        SamplingState::Accept
    } else {
        SamplingState::Deny
    };
    with_remote_span_and_state(context, span, state)
}

fn with_remote_span_and_state(context: &Context, span: &SpanContext, state: SamplingState) -> Context {
    let (trace_id, span_id) = (span.trace_id(), span.span_id());
    let existing = context.span();
    let existing = existing.span_context();
    // Another propagator may have extracted this span already, with a decision, the random flag and
    // a `tracestate`.
    let is_same_span = existing.trace_id() == trace_id && existing.span_id() == span_id;
    if is_same_span && state == SamplingState::Defer {
        return context.clone();
    }
    let (random, trace_state) = if is_same_span {
        (existing.trace_flags() & RANDOM, existing.trace_state())
    } else {
        (TraceFlags::default(), span.trace_state())
    };
    let span = SpanContext::new(
        trace_id,
        span_id,
        span.trace_flags() | random,
        true,
        trace_state.clone(),
    );
    with_state(&context.with_remote_span_context(span), state, trace_id, span_id)
}

/// Returns `context` with the caller's sampling decision on the span with the given ids.
///
/// The ids are invalid if the caller sent a decision without them.
pub(super) fn with_state(context: &Context, state: SamplingState, trace_id: TraceId, span_id: SpanId) -> Context {
    let previous = remote_decision(context);
    let is_in_flags = matches!(state, SamplingState::Accept | SamplingState::Deny) && trace_id != TraceId::INVALID;
    // The span's flags suffice, and another propagator may have extracted the debug flag.
    if is_in_flags && previous.is_none_or(|previous| previous.trace_id == trace_id) {
        return context.clone();
    }
    context.with_value(RemoteSampling(Some(RemoteDecision {
        state,
        trace_id,
        span_id,
    })))
}

/// Parses a trace id of 1 to 32 hexadecimal digits. Returns `None` for the invalid id 0.
pub(super) fn trace_id(hex: &str) -> Option<TraceId> {
    let id = TraceId::from_hex(digits(hex, 32)?).ok()?;
    (id != TraceId::INVALID).then_some(id)
}

/// Parses a span id of 1 to 16 hexadecimal digits. Returns `None` for the invalid id 0.
pub(super) fn span_id(hex: &str) -> Option<SpanId> {
    let id = SpanId::from_hex(digits(hex, 16)?).ok()?;
    (id != SpanId::INVALID).then_some(id)
}

/// Returns `hex` if it consists of at most `max_len` digits. The API's parsers accept a sign, too.
fn digits(hex: &str, max_len: usize) -> Option<&str> {
    (hex.len() <= max_len && hex.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(hex)
}
