//! A span when it starts: that of an RPC, or a copy of any other one.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use otel_runtime::observer::{self, CallDetails, Messages, StartedCall};

use crate::zpages::size;

/// A span as it was when it started.
#[derive(Clone, Debug)]
pub(super) enum Start {
    /// The span of an RPC.
    Call(Call),
    /// A copy of any other span.
    Span(Arc<SpanData>),
    /// None: the span has ended.
    Ended,
}

/// The span of an RPC when it starts.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Borrowed if it is that of a method.
    name: Cow<'static, str>,
    kind: SpanKind,
    trace_id: TraceId,
    span_id: SpanId,
    /// `None` if it is empty, as most are.
    trace_state: Option<Arc<TraceState>>,
    parent_span_id: SpanId,
    parent_span_is_remote: bool,
    start_time: SystemTime,
    details: CallDetails,
}

impl Start {
    /// Copies a span, without the parts that make it too large. Returns the bytes of the copy, too.
    pub(super) fn from_span(span: SpanData) -> (Self, usize) {
        let is_small = size::span(&span) <= size::MAX_SPAN;
        let copy = if is_small { span } else { size::copy(&span) };
        let bytes = size::span(&copy) + 16;
        (Start::Span(Arc::new(copy)), bytes)
    }

    pub(super) fn trace_id(&self) -> TraceId {
        match self {
            Start::Call(call) => call.trace_id,
            Start::Span(span) => span.span_context.trace_id(),
            Start::Ended => TraceId::INVALID,
        }
    }

    pub(super) fn span_id(&self) -> SpanId {
        match self {
            Start::Call(call) => call.span_id,
            Start::Span(span) => span.span_context.span_id(),
            Start::Ended => SpanId::INVALID,
        }
    }

    pub(super) fn time(&self) -> SystemTime {
        match self {
            Start::Call(call) => call.start_time,
            Start::Span(span) => span.start_time,
            Start::Ended => SystemTime::UNIX_EPOCH,
        }
    }

    /// Names the method of an RPC that has started without.
    pub(super) fn set_method(&mut self, name: &'static str) {
        if let Start::Call(call) = self {
            call.name = name.into();
        }
    }

    /// Returns the span as it is known.
    pub(super) fn span(&self) -> Option<SpanData> {
        match self {
            Start::Call(call) => Some(call.span()),
            Start::Span(span) => Some(SpanData::clone(span)),
            Start::Ended => None,
        }
    }

    /// Returns the address of the client, if the span is that of an RPC at a server.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        let Start::Call(call) = self else { return None };
        let peer = call.details.peer?;
        Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()))
    }

    /// Returns the server that an RPC of a client calls, as far as the client names it.
    pub(super) fn target(&self) -> Option<String> {
        let call = match self {
            Start::Call(call) if call.kind == SpanKind::Client => call,
            _ => return None,
        };
        let address = call.details.server.address.as_ref()?;
        Some(match call.details.server.port {
            Some(port) if address.as_str().contains(':') => format!("[{address}]:{port}"),
            Some(port) => format!("{address}:{port}"),
            None => address.to_string(),
        })
    }

    /// Returns the messages of an RPC, if they are counted.
    pub(super) fn messages(&self) -> Option<&Messages> {
        match self {
            Start::Call(call) => call.details.messages.as_deref(),
            Start::Span(_) | Start::Ended => None,
        }
    }
}

impl Call {
    #[inline]
    pub(super) fn new(name: Cow<'static, str>, kind: SpanKind, call: &mut StartedCall<'_>) -> Self {
        // As the SDK does: a parent without a trace is none.
        let has_parent = call.parent.is_valid();
        Call {
            name,
            kind,
            trace_id: call.span_context.trace_id(),
            span_id: call.span_context.span_id(),
            trace_state: Some(call.span_context.trace_state())
                .filter(|state| **state != TraceState::NONE)
                .map(|state| Arc::new(state.clone())),
            parent_span_id: if has_parent {
                call.parent.span_id()
            } else {
                SpanId::INVALID
            },
            parent_span_is_remote: has_parent && call.parent.is_remote(),
            start_time: call.start_time,
            details: std::mem::take(call.details),
        }
    }

    /// Returns the span context. The observer does not know its flags. A span that records is
    /// sampled, unless the program has a sampler of its own.
    fn span_context(&self) -> SpanContext {
        let state = self.trace_state.as_deref().cloned().unwrap_or_default();
        SpanContext::new(self.trace_id, self.span_id, TraceFlags::SAMPLED, false, state)
    }

    fn span(&self) -> SpanData {
        let method = match self.name {
            Cow::Borrowed(name) => Some(name),
            Cow::Owned(_) => None,
        };
        SpanData {
            span_context: self.span_context(),
            parent_span_id: self.parent_span_id,
            parent_span_is_remote: self.parent_span_is_remote,
            span_kind: self.kind.clone(),
            name: self.name.clone(),
            start_time: self.start_time,
            end_time: self.start_time,
            attributes: self.details.attributes(method),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: observer::scope(),
        }
    }
}
