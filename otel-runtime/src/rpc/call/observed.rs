//! A call that an observer sees from its start.

use std::net::SocketAddr;

use opentelemetry::Context;
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Link, Span, SpanContext, SpanId, TraceContextExt};

use super::Call;
use crate::observer::{self, CallObserver, StartedCall};
use crate::span::{SpanAttributes, StartedSpan};

impl Call {
    /// Starts the call's span, and shows the call to the observer.
    #[cold]
    #[inline(never)]
    pub(super) fn start_observed(
        &mut self,
        observer: &'static dyn CallObserver,
        parent: &Context,
        link: Option<Link>,
        attributes: &dyn SpanAttributes,
    ) -> Option<StartedSpan> {
        let (mut server, mut peer) = (None, None);
        let builder = || {
            let builder = self.span_builder(link, attributes);
            server = Some(observer::expect(&builder));
            builder
        };
        let if_recording = |span: &mut BoxedSpan| peer = attributes.if_recording(span);
        let started = self.instrumentation.start_span(parent, builder, if_recording);
        let met = observer::take_met();
        if let (Some(StartedSpan::Recording(span)), Some(server)) = (&started, server)
            && met == Some(span.span_context().span_id())
        {
            self.observe(observer, parent, span.span_context(), server, peer);
        }
        started
    }

    /// Shows the call to the observer, whose processor has met its span.
    fn observe(
        &mut self,
        observer: &'static dyn CallObserver,
        parent: &Context,
        span_context: &SpanContext,
        (server_address, server_port): observer::Server,
        peer: Option<SocketAddr>,
    ) {
        let parent = parent.span();
        // As the SDK does: a parent without a trace is none.
        let parent = Some(parent.span_context()).filter(|parent| parent.is_valid());
        let call = StartedCall {
            name: match &self.unresolved {
                None => self.method.span_name().into(),
                Some(unresolved) => unresolved.name().to_owned().into(),
            },
            kind: self.span_kind(),
            span_context: span_context.clone(),
            parent_span_id: parent.map_or(SpanId::INVALID, SpanContext::span_id),
            parent_span_is_remote: parent.is_some_and(SpanContext::is_remote),
            start_time: self.start_time,
            server_address,
            server_port,
            peer,
        };
        let running = if self.unresolved.is_some() {
            observer.method(&call.name, call.kind.clone()).start(call)
        } else {
            let observe = || observer.method(self.method.span_name(), self.span_kind());
            self.method.observer(observe).start(call)
        };
        let Some(running) = running else {
            return;
        };
        // A layer sees every response, of which nothing has passed yet.
        if self.layer_headers.is_some() {
            running.messages().count(self.side().response_direction());
        }
        self.extras.set_observed(running);
    }
}
