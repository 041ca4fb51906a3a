//! The span of a call.

use std::time::SystemTime;

use opentelemetry::trace::{Link, Span, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::{Call, SpanParent};
use crate::grpc::side::Side;
use crate::metrics::legacy;
use crate::observer::{self, CallObserver, StartedCall};
use crate::span::{SpanAttributes, StartedSpan};
use crate::{clock, propagation, semconv};

impl Call {
    /// Returns the wall-clock time of the start.
    #[inline]
    fn start_time(&self) -> SystemTime {
        let now = clock::time_of_day();
        if self.started_late {
            now - self.started_at.elapsed()
        } else {
            now
        }
    }

    /// Starts the call's span.
    pub(crate) fn start_span(&mut self, parent: SpanParent, attributes: &dyn SpanAttributes) {
        self.start_time = self.start_time();
        let SpanParent { base, parent, link } = parent;
        let base = base.unwrap_or_else(Context::current);
        let parent = parent.as_ref().unwrap_or(&base);
        let observer = observer::get();
        let mut server = None;
        let builder = || {
            let builder = self.span_builder(link, attributes);
            server = observer.map(|_| observer::expect(&builder));
            builder
        };
        let started = self.instrumentation.start_span(parent, builder, attributes);
        if let (Some(observer), Some(server)) = (observer, server) {
            self.observe(observer, parent, started.as_ref(), attributes, server);
        }
        self.context = Some(match started {
            Some(StartedSpan::Recording(span)) => {
                self.is_recording = true;
                propagation::with_recording_span(&base, parent, span)
            }
            Some(StartedSpan::NonRecording(span_context)) => propagation::with_non_recording_span(&base, span_context),
            None => base,
        });
    }

    #[inline]
    fn span_builder(&self, link: Option<Link>, attributes: &dyn SpanAttributes) -> SpanBuilder {
        // Room for two names, for the addresses of both ends or of a client's target, and for two
        // attributes that the end adds. A span keeps it until it is exported: each takes 56 bytes.
        let mut at_start = Vec::with_capacity(match self.side() {
            Side::Server => 8,
            Side::Client => 6,
        });
        at_start.push(KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC));
        let mut builder = match &self.unresolved {
            None => {
                at_start.push(self.method.rpc_method());
                if self.instrumentation.instruments().legacy().is_some() {
                    at_start.extend(legacy::span_attributes(self.method.name()));
                }
                SpanBuilder::from_name(self.method.span_name())
            }
            // `rpc.method` is added when the method is resolved, or at the end.
            Some(unresolved) => SpanBuilder::from_name(unresolved.name().to_owned()),
        };
        attributes.at_start(&mut at_start);
        builder.span_kind = Some(self.span_kind());
        builder.start_time = Some(self.start_time);
        builder.attributes = Some(at_start);
        if let Some(link) = link {
            builder.links = Some(vec![link]);
        }
        builder
    }

    /// Shows a call whose span has started to the observer, if the observer's processor has met
    /// the span.
    #[inline(never)]
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

    #[inline]
    fn span_kind(&self) -> SpanKind {
        match self.side() {
            Side::Server => SpanKind::Server,
            Side::Client => SpanKind::Client,
        }
    }
}
