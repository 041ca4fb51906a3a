//! The start of a server's RPC, in a handler or in a layer.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{Link, TraceContextExt};

use super::address;
use super::arrival::Arrival;
use crate::call::{Beginning, Call, Start, Unknown};
use crate::capture::{Captured, Names};
use crate::deadline;
use crate::headers::Found;
use crate::instrumentation::Chosen;
use crate::method::Known;
use crate::propagation;
use crate::sizes::Sizes;

/// An RPC that is about to start.
pub(super) struct Begin<'a> {
    pub(super) method: Known,
    pub(super) unknown: Option<Unknown>,
    pub(super) instrumentation: Chosen,
    pub(super) public_endpoint: bool,
    pub(super) request_headers: &'a Names,
    pub(super) layer: Option<Arc<Captured>>,
    pub(super) sizes: Option<Arc<Sizes>>,
}

impl Begin<'_> {
    pub(super) fn call(self, request: &Arrival<'_>) -> Box<Call> {
        let start = Start::now();
        let found = Found::of(request.headers);
        let caller = self.instrumentation.extract(request.headers, &found);
        let caller = caller.unwrap_or_else(Context::current);
        let stranger = self.public_endpoint.then(|| Stranger::new(&caller));
        let context = match &stranger {
            // What gets no span of ours must not go on with the stranger's.
            Some(_) => propagation::without_caller(&caller),
            None => caller,
        };
        let (parent, link) = stranger.map_or((None, None), |stranger| (Some(stranger.root), stranger.link));
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
        let call = Call::start(beginning, || address::server(request.uri, request.headers));
        call.set_attributes(|| {
            let peer = address::peer(request.sockets.peer, request.extensions);
            peer.chain(self.request_headers.attributes(request.headers))
        });
        call
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
