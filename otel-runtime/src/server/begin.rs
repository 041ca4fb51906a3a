//! The start of a server's RPC, in a handler or in a layer.

use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Link, Span, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::address;
use super::arrival::Arrival;
use crate::call::{Attributes, Beginning, Family, Running};
use crate::capture::Names;
use crate::headers::Found;
use crate::propagation;

/// Starts an RPC, of a stranger where `public_endpoint`. Its span takes up those of `headers` that its request has.
#[inline]
pub(super) fn call(
    beginning: Beginning,
    public_endpoint: bool,
    request: &Arrival<'_>,
    found: &Found<'_>,
    headers: &Names,
) -> Running {
    let mut call = Running::new(beginning);
    let caller = call.instrumentation().extract(request.headers, found);
    let family = if public_endpoint {
        let caller = caller.unwrap_or_else(Context::current);
        let Stranger { root, link } = Stranger::new(&caller);
        Family {
            // What gets no span of ours must not go on with the stranger's.
            context: Some(propagation::without_caller(&caller)),
            parent: Some(root),
            link,
        }
    } else {
        Family {
            context: caller,
            parent: None,
            link: None,
        }
    };
    call.start(family, &OfRequest { request, headers });
    call
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
