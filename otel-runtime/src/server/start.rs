//! Starting a server's call, in a layer or in a handler.

use std::net::SocketAddr;

use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Link, Span, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::request::IncomingRequest;
use crate::attributes::captured_headers::HeaderList;
use crate::attributes::{peer_address, server_address};
use crate::grpc::request_headers::KnownHeaders;
use crate::propagation;
use crate::rpc::call::{Call, CallParams, SpanParent};
use crate::rpc::pool::PooledCall;
use crate::span::SpanAttributes;

/// Starts the call of a request. Its span captures the request headers in `captured`.
///
/// If `is_public`, the caller is untrusted: the span becomes the root of a new trace, with a link
/// to the caller's span.
#[inline]
pub(super) fn start_call(
    params: CallParams,
    is_public: bool,
    request: &IncomingRequest<'_>,
    captured: &HeaderList,
) -> PooledCall {
    let known = KnownHeaders::scan(request.headers);
    let mut pooled = PooledCall::new(params, known.timeout());
    let call = &mut *pooled;
    let caller = call.instrumentation().extract(request.headers, &known);
    if is_public || call.instrumentation().has_tracer() {
        start_span(call, caller, is_public, &ServerAttributes { request, captured });
    } else {
        call.set_context(caller);
    }
    pooled
}

// Apart, so that a call without a span does not pay for the stack that this needs.
#[inline(never)]
fn start_span(call: &mut Call, caller: Option<Context>, is_public: bool, attributes: &ServerAttributes<'_>) {
    let parent = if is_public {
        untrusted(&caller.unwrap_or_else(Context::current))
    } else {
        SpanParent {
            base: caller,
            ..SpanParent::default()
        }
    };
    if call.instrumentation().has_tracer() {
        call.start_span(parent, attributes);
    } else {
        call.set_context(parent.base);
    }
}

/// Attaches a span to a new trace, with a link to the untrusted caller's span, if there is one.
fn untrusted(caller: &Context) -> SpanParent {
    // An empty context, and not one with an invalid span: samplers take that for a parent that is
    // not sampled.
    let root = Context::new();
    let root = if caller.is_telemetry_suppressed() {
        root.with_telemetry_suppressed()
    } else {
        root
    };
    let span_context = caller.span().span_context().clone();
    SpanParent {
        // Without a span of our own, the untrusted caller's must not be propagated.
        base: Some(propagation::without_remote_parent(caller)),
        parent: Some(root),
        link: span_context.is_valid().then(|| Link::with_context(span_context)),
    }
}

struct ServerAttributes<'a> {
    request: &'a IncomingRequest<'a>,
    captured: &'a HeaderList,
}

impl SpanAttributes for ServerAttributes<'_> {
    fn at_start(&self, attributes: &mut Vec<KeyValue>) {
        server_address::add_server_address(self.request.uri, self.request.headers, attributes);
    }

    fn if_recording(&self, span: &mut BoxedSpan) -> Option<SocketAddr> {
        let peer = self.request.peer();
        peer_address::add_peer_address(peer, self.request.extensions, span);
        if !self.captured.is_empty() {
            for attribute in self.captured.attributes(self.request.headers) {
                span.set_attribute(attribute);
            }
        }
        peer
    }
}
