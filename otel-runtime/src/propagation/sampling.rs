//! Sampling decisions of callers beyond the sampled flag, and their propagation.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

/// The sampling decision for a trace, in the terms of
/// [B3](https://github.com/openzipkin/b3-propagation#sampling-state).
///
/// OpenTelemetry knows a span that is sampled and one that is not. B3, Jaeger, X-Ray and Google
/// Cloud Trace know more, and their propagators keep it in the context.
///
/// A caller that defers the decision leaves it to the server. OpenTelemetry's samplers do not know
/// of that, and take it for "not sampled"; a sampler that is to decide finds it in the parent's
/// context:
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
    /// Whoever is called decides.
    Defer,
    /// Not sampled.
    Deny,
    /// Sampled.
    Accept,
    /// Sampled, and to be kept wherever others are dropped.
    Debug,
}

impl SamplingState {
    /// Returns the decision for the context's span.
    ///
    /// Without a span, returns the caller's decision for the trace that starts here, if it made
    /// one.
    #[must_use]
    pub fn from_context(context: &Context) -> Option<Self> {
        let said = remote_decision(context);
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return said.filter(|said| said.is_of_no_span()).map(|said| said.state);
        }
        match said {
            Some(said) if said.makes_debug(span) => Some(SamplingState::Debug),
            _ if span.is_sampled() => Some(SamplingState::Accept),
            Some(said) if said.defers(span) => Some(SamplingState::Defer),
            _ => Some(SamplingState::Deny),
        }
    }

    fn flags(self) -> TraceFlags {
        match self {
            SamplingState::Defer | SamplingState::Deny => TraceFlags::NOT_SAMPLED,
            // OpenTelemetry's specification: debug implies sampled.
            SamplingState::Accept | SamplingState::Debug => TraceFlags::SAMPLED,
        }
    }
}

/// A caller's sampling decision, and the span that it is about. Derived contexts keep it, although
/// some of them belong to another trace.
struct RemoteDecision {
    state: SamplingState,
    trace_id: TraceId,
    span_id: SpanId,
}

/// A value of contexts. They can take another value, but not lose one.
struct RemoteSampling(Option<RemoteDecision>);

fn remote_decision(context: &Context) -> Option<&RemoteDecision> {
    context.get::<RemoteSampling>()?.0.as_ref()
}

/// `context` without a caller: neither the caller's span nor what the caller said of sampling.
pub(crate) fn without_remote_parent(context: &Context) -> Context {
    let context = context.with_remote_span_context(SpanContext::NONE);
    if remote_decision(&context).is_some() {
        context.with_value(RemoteSampling(None))
    } else {
        context
    }
}

impl RemoteDecision {
    fn is_of_no_span(&self) -> bool {
        self.trace_id == TraceId::INVALID
    }

    /// Debug is passed on by every span of the trace, and of the trace that begins here.
    fn makes_debug(&self, span: &SpanContext) -> bool {
        self.state == SamplingState::Debug && (self.is_of_no_span() || self.trace_id == span.trace_id())
    }

    /// A decision is deferred until there is a span of ours, for then it has been made.
    fn defers(&self, span: &SpanContext) -> bool {
        self.state == SamplingState::Defer && self.trace_id == span.trace_id() && self.span_id == span.span_id()
    }
}

/// `context` with the caller's span. `trace_state` is `NONE` in a format that has no such thing.
pub(super) fn with_remote_span(
    context: &Context,
    trace_id: TraceId,
    span_id: SpanId,
    state: SamplingState,
    trace_state: &TraceState,
) -> Context {
    let known = context.span();
    let known = known.span_context();
    // Another propagator may have read the same span from the same request, and know more of it.
    let is_known = known.trace_id() == trace_id && known.span_id() == span_id;
    if is_known && state == SamplingState::Defer {
        return context.clone();
    }
    let trace_state = if is_known { known.trace_state() } else { trace_state };
    let span = SpanContext::new(trace_id, span_id, state.flags(), true, trace_state.clone());
    with_state(&context.with_remote_span_context(span), state, trace_id, span_id)
}

/// `context` with what the caller said of a span, or of none.
pub(super) fn with_state(context: &Context, state: SamplingState, trace_id: TraceId, span_id: SpanId) -> Context {
    let said_before = remote_decision(context);
    let is_in_flags = matches!(state, SamplingState::Accept | SamplingState::Deny) && trace_id != TraceId::INVALID;
    // Another propagator may have extracted the debug state of the trace: do not overwrite it.
    if is_in_flags && said_before.is_none_or(|before| before.trace_id == trace_id) {
        return context.clone();
    }
    context.with_value(RemoteSampling(Some(RemoteDecision {
        state,
        trace_id,
        span_id,
    })))
}

/// The id that 1 to 32 hexadecimal digits stand for.
pub(super) fn trace_id(hex: &str) -> Option<TraceId> {
    let id = TraceId::from_hex(digits(hex, 32)?).ok()?;
    (id != TraceId::INVALID).then_some(id)
}

/// The id that 1 to 16 hexadecimal digits stand for.
pub(super) fn span_id(hex: &str) -> Option<SpanId> {
    let id = SpanId::from_hex(digits(hex, 16)?).ok()?;
    (id != SpanId::INVALID).then_some(id)
}

/// `hex`, if it is at most `longest` digits. The API's parsers take a sign as well.
fn digits(hex: &str, longest: usize) -> Option<&str> {
    (hex.len() <= longest && hex.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(hex)
}
