//! Starting spans and adding attributes to them.

use std::net::SocketAddr;

use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::guard;

/// The attributes that a new span gets from its request.
pub(crate) trait SpanAttributes {
    /// Adds the attributes that a sampler sees, beside `rpc.system.name` and `rpc.method`:
    /// `server.address` and `server.port`.
    fn at_start(&self, attributes: &mut Vec<KeyValue>);

    /// Adds the attributes that only a recording span needs. Returns the address of the client's
    /// socket, at a server.
    fn if_recording(&self, span: &mut BoxedSpan) -> Option<SocketAddr>;
}

/// A function that makes attributes, called once at most.
pub(crate) type MakeAttributes<'a> = &'a mut dyn FnMut() -> Vec<KeyValue>;

/// A span that a tracer started.
pub(crate) enum StartedSpan {
    Recording(BoxedSpan),
    /// A span that records nothing: only its span context is propagated.
    NonRecording(SpanContext),
}

/// Adds attributes to the span in `context`, if it is recording.
pub(crate) fn set_attributes(context: &Context, attributes: MakeAttributes<'_>) {
    guard::TRACER.run(|| {
        let span = context.span();
        if span.is_recording() {
            // All at once: the span is locked while it takes them.
            span.set_attributes(attributes());
        }
    });
}
