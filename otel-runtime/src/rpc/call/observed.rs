//! A call that an observer sees from its start.

use opentelemetry::Context;
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
        let mut server = None;
        let builder = || {
            let builder = self.span_builder(link, attributes);
            server = Some(observer::expect(&builder));
            builder
        };
        let started = self.instrumentation.start_span(parent, builder, attributes);
        self.observe(observer, parent, started.as_ref(), attributes, server?);
        started
    }

    /// Shows a call whose span has started to the observer, if the observer's processor has met
    /// the span.
    fn observe(
        &mut self,
        observer: &'static dyn CallObserver,
        parent: &Context,
        span: Option<&StartedSpan>,
        attributes: &dyn SpanAttributes,
        (server_address, server_port): observer::Server,
    ) {
        let met = observer::take_met();
        let Some(StartedSpan::Recording(span)) = span else {
            return;
        };
        let span_context = span.span_context();
        if met != Some(span_context.span_id()) {
            return;
        }
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
            peer: attributes.peer(),
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
