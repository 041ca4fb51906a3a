//! The W3C's formats on an RPC's headers, without dynamic dispatch.
//!
//! A propagator behind `dyn TextMapPropagator` gets its headers as strings, and all lines of one in
//! a list. That costs an RPC an allocation, and 1,400 instructions on a server or 1,800 on a
//! client.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{TraceContextExt, TraceState};

use super::baggage::{self, BAGGAGE};
use super::trace_context::{self, TRACEPARENT, TRACESTATE};
use super::{traceparent, tracestate};
use crate::grpc::request_headers::{KnownHeaders, get_first};

const TRACEPARENT_NAME: HeaderName = HeaderName::from_static(TRACEPARENT);
const TRACESTATE_NAME: HeaderName = HeaderName::from_static(TRACESTATE);
const BAGGAGE_NAME: HeaderName = HeaderName::from_static(BAGGAGE);

/// [`TraceContextPropagator`](super::TraceContextPropagator), alone or with
/// [`BaggagePropagator`](super::BaggagePropagator).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct W3c {
    pub(crate) has_baggage: bool,
}

impl W3c {
    /// Returns the current context with the caller's span context and baggage.
    ///
    /// Returns `None` if the headers have neither.
    // Not inlined: the stack frame of its caller would cost an RPC without a propagator 20
    // instructions.
    #[inline(never)]
    pub(crate) fn extract(self, headers: &HeaderMap, known: &KnownHeaders<'_>) -> Option<Context> {
        if known.has_tracestate || known.repeats_traceparent || self.has_baggage && known.has_baggage {
            return self.extract_lists(headers, known);
        }
        let parent = traceparent::parse(known.traceparent?.as_bytes())?;
        Some(Context::map_current(|current| {
            current.with_remote_span_context(parent.span_context(TraceState::NONE))
        }))
    }

    #[cold]
    fn extract_lists(self, headers: &HeaderMap, known: &KnownHeaders<'_>) -> Option<Context> {
        let lines = |name: HeaderName| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
        let traceparent = known.traceparent.filter(|_| !known.repeats_traceparent);
        let parent = traceparent.and_then(|line| traceparent::parse(line.as_bytes()));
        let with_span = parent.map(|parent| {
            Context::map_current(|current| {
                tracestate::with_remote_span(current, &mut lines(TRACESTATE_NAME), &|state| {
                    parent.span_context(state)
                })
            })
        });
        if !self.has_baggage {
            return with_span;
        }
        let with_baggage = match &with_span {
            Some(context) => baggage::with_baggage(context, &mut lines(BAGGAGE_NAME)),
            None => Context::map_current(|current| baggage::with_baggage(current, &mut lines(BAGGAGE_NAME))),
        };
        with_baggage.or(with_span)
    }

    /// Injects the span context and the baggage of `context`, and replaces those in `headers`.
    #[inline(never)]
    pub(crate) fn inject(self, context: &Context, headers: &mut HeaderMap) {
        if self.has_baggage && !context.baggage().is_empty() {
            insert(headers, BAGGAGE_NAME, baggage::format(context));
        }
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let traceparent = traceparent::format(span, trace_context::flags(context, span));
        if let Ok(traceparent) = HeaderValue::from_bytes(&traceparent) {
            headers.insert(TRACEPARENT_NAME, traceparent);
        }
        // A leftover one would belong to another trace.
        if get_first(headers, &TRACESTATE_NAME).is_some() {
            headers.remove(TRACESTATE_NAME);
        }
        if tracestate::may_have_members(context, span) {
            insert(headers, TRACESTATE_NAME, tracestate::format(context, span));
        }
    }
}

#[cold]
fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
        headers.insert(name, value);
    }
}
