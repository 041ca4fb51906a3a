//! The start of a server's RPC, in a handler or in a layer.

use std::sync::Arc;
use std::time::Instant;

use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Link, Span, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::address;
use super::arrival::Arrival;
use crate::call::{Attributes, Beginning, Call, Running, Unknown};
use crate::capture::{Captured, Names};
use crate::deadline;
use crate::headers::Found;
use crate::instrumentation::Chosen;
use crate::method::Method;
use crate::propagation;
use crate::sizes::Sizes;

/// An RPC that is about to start.
pub(super) struct Begin<'a> {
    pub(super) method: &'static Method,
    pub(super) unknown: Option<Unknown>,
    pub(super) instrumentation: Chosen,
    pub(super) public_endpoint: bool,
    pub(super) request_headers: &'a Names,
    pub(super) layer: Option<&'static Captured>,
    pub(super) sizes: Option<Arc<Sizes>>,
}

impl Begin<'_> {
    #[inline]
    pub(super) fn call(self, request: &Arrival<'_>, found: &Found<'_>) -> Running {
        let start = Instant::now();
        let caller = self.instrumentation.extract(request.headers, found);
        let (context, parent, link) = if self.public_endpoint {
            let caller = caller.unwrap_or_else(Context::current);
            let Stranger { root, link } = Stranger::new(&caller);
            // What gets no span of ours must not go on with the stranger's.
            (Some(propagation::without_caller(&caller)), Some(root), link)
        } else {
            (caller, None, None)
        };
        let beginning = Beginning {
            start,
            method: self.method,
            unknown: self.unknown,
            instrumentation: self.instrumentation,
            context,
            parent,
            link,
            timeout: found.grpc_timeout.and_then(deadline::grpc_timeout),
            layer: self.layer,
            sizes: self.sizes,
        };
        let attributes = OfRequest {
            request,
            headers: self.request_headers,
        };
        Call::start(beginning, &attributes)
    }
}

/// What a request says of itself.
struct OfRequest<'a> {
    request: &'a Arrival<'a>,
    /// Those that are listed.
    headers: &'a Names,
}

impl Attributes for OfRequest<'_> {
    fn sampled_by(&self, attributes: &mut Vec<KeyValue>) {
        address::add_server(self.request.uri, self.request.headers, attributes);
    }

    fn recorded(&self, span: &mut BoxedSpan) {
        address::add_peer(self.request.peer(), self.request.extensions, span);
        for attribute in self.headers.attributes(self.request.headers) {
            span.set_attribute(attribute);
        }
    }
}

/// A caller who is not trusted.
struct Stranger {
    /// Instead of the caller's context, the parent of the span. (A context with an invalid span would not do: samplers take it for a parent that is not sampled.)
    root: Context,
    /// To the caller's span, if there is one.
    link: Option<Link>,
}

impl Stranger {
    fn new(caller: &Context) -> Self {
        let root = Context::new();
        let span = caller.span().span_context().clone();
        Stranger {
            root: if caller.is_telemetry_suppressed() {
                root.with_telemetry_suppressed()
            } else {
                root
            },
            link: span.is_valid().then(|| Link::with_context(span)),
        }
    }
}
