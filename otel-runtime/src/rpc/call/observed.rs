//! A call that an observer sees from its start.

use std::cell::RefCell;
use std::sync::Arc;

use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Link, Span, SpanContext, SpanId, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::Call;
use crate::observer::{self, CallDetails, CallObserver, Messages, ServerAddress, StartedCall};
use crate::rpc::extras::Extras;
use crate::span::{SpanAttributes, StartedSpan};

impl Call {
    /// Starts the call's span, and shows the call to the observer.
    #[inline(never)]
    pub(super) fn start_observed(
        &mut self,
        observer: &'static dyn CallObserver,
        parent: &Context,
        link: Option<Link>,
        attributes: &dyn SpanAttributes,
    ) -> Option<StartedSpan> {
        observer::expect();
        let details = RefCell::new(CallDetails::default());
        let see = |address: &[KeyValue]| details.borrow_mut().server = ServerAddress::from_attributes(address);
        let mut extras = Extras::default();
        let if_recording = |span: &mut BoxedSpan| {
            let peer = attributes.if_recording(span);
            let span_context = span.span_context();
            if observer::has_met(span_context.span_id()) {
                let mut details = details.borrow_mut();
                details.peer = peer;
                details.messages = self.start_messages(&mut extras);
                self.observe(observer, parent, span_context, &mut details);
            }
        };
        let builder = || self.span_builder(link, attributes, see);
        let started = self.instrumentation.start_span(parent, builder, if_recording);
        observer::expect_nothing();
        self.extras = extras;
        started
    }

    /// Starts to count the messages of a layer's call, for the observer.
    #[inline]
    fn start_messages(&self, extras: &mut Extras) -> Option<Arc<Messages>> {
        self.layer_headers?;
        let messages = extras.observe();
        // A layer sees every response, of which nothing has passed yet.
        messages.count(self.side().response_direction());
        Some(messages)
    }

    /// Shows the call to the observer, whose processor has met its span.
    #[inline]
    fn observe(
        &self,
        observer: &'static dyn CallObserver,
        parent: &Context,
        span_context: &SpanContext,
        details: &mut CallDetails,
    ) {
        let parent = parent.span();
        let call = StartedCall {
            span_context,
            parent: parent.span_context(),
            start_time: self.start_time,
            details,
        };
        match &self.unresolved {
            None => {
                let observe = || observer.method(self.method.span_name(), self.span_kind());
                self.method.observer(observe).start(call);
            }
            Some(unresolved) => observer.start(unresolved.name(), self.span_kind(), call),
        }
    }

    /// Returns the observer and the span of a call that a layer has shown to it.
    #[cold]
    pub(super) fn observed(&self) -> Option<(&'static dyn CallObserver, SpanId)> {
        let context = self.recording_context().filter(|_| self.extras.is_observed())?;
        Some((observer::get()?, context.span().span_context().span_id()))
    }
}
