//! A span when it starts: that of an RPC, or a copy of any other one.

use std::net::SocketAddr;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, Status};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use otel_runtime::observer::{self, StartedCall};

use crate::zpages::size;

/// A span as it was when it started.
#[derive(Debug)]
pub(super) enum Start {
    /// The span of an RPC, as the RPC has told it.
    Call(StartedCall),
    /// A copy of any other span.
    Span(Box<SpanData>),
    /// None: the span has ended.
    Ended,
}

impl Start {
    /// Copies a span, without the parts that make it too large.
    pub(super) fn of(span: SpanData) -> Self {
        let is_small = size::span(&span) <= size::MAX_SPAN;
        Start::Span(Box::new(if is_small { span } else { size::copy(&span) }))
    }

    /// Returns the bytes that it has on the heap.
    #[inline]
    pub(super) fn size(&self) -> usize {
        match self {
            // Most names and addresses are shared by all calls.
            Start::Call(call) => call.name.len() + size::trace_state(&call.span_context),
            Start::Span(span) => size::span(span) + 16,
            Start::Ended => 0,
        }
    }

    pub(super) fn span_context(&self) -> &SpanContext {
        match self {
            Start::Call(call) => &call.span_context,
            Start::Span(span) => &span.span_context,
            Start::Ended => &SpanContext::NONE,
        }
    }

    pub(super) fn time(&self) -> SystemTime {
        match self {
            Start::Call(call) => call.start_time,
            Start::Span(span) => span.start_time,
            Start::Ended => SystemTime::UNIX_EPOCH,
        }
    }

    /// Returns the span, with the method of a call that has become known since.
    pub(super) fn span(&self, method: Option<&'static str>) -> Option<SpanData> {
        match self {
            Start::Call(call) => Some(of_call(call, method)),
            Start::Span(span) => Some(SpanData::clone(span)),
            Start::Ended => None,
        }
    }

    /// Returns the address of the client, if the span is that of an RPC at a server.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        let Start::Call(call) = self else { return None };
        let peer = call.peer?;
        Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()))
    }
}

/// Returns the span of a call, whose method has become known since or not.
fn of_call(call: &StartedCall, method: Option<&'static str>) -> SpanData {
    let named = method.map(|method| StartedCall {
        name: method.into(),
        ..call.clone()
    });
    let call = named.as_ref().unwrap_or(call);
    SpanData {
        span_context: call.span_context.clone(),
        parent_span_id: call.parent_span_id,
        parent_span_is_remote: call.parent_span_is_remote,
        span_kind: call.kind.clone(),
        name: call.name.clone(),
        start_time: call.start_time,
        end_time: call.start_time,
        attributes: call.attributes(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: observer::scope(),
    }
}
