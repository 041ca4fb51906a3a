//! The span of a call.

use std::time::SystemTime;

use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Link, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use super::{Call, SpanParent};
use crate::grpc::side::Side;
use crate::metrics::legacy;
use crate::observer;
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
        let started = match observer::get() {
            None => {
                let builder = || self.span_builder(link, attributes, |_| {});
                let if_recording = |span: &mut BoxedSpan| {
                    attributes.if_recording(span);
                };
                self.instrumentation.start_span(parent, builder, if_recording)
            }
            Some(observer) => self.start_observed(observer, parent, link, attributes),
        };
        self.context = Some(match started {
            Some(StartedSpan::Recording(span)) => {
                self.is_recording = true;
                propagation::with_recording_span(&base, parent, span)
            }
            Some(StartedSpan::NonRecording(span_context)) => propagation::with_non_recording_span(&base, span_context),
            None => base,
        });
    }

    /// Describes the span. `see` sees its attributes of the server's address.
    // Always inlined, although it has a second caller, which is cold: saves 40 instructions.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn span_builder(
        &self,
        link: Option<Link>,
        attributes: &dyn SpanAttributes,
        see: impl FnOnce(&[KeyValue]),
    ) -> SpanBuilder {
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
        let before = at_start.len();
        attributes.at_start(&mut at_start);
        see(&at_start[before..]);
        builder.span_kind = Some(self.span_kind());
        builder.start_time = Some(self.start_time);
        builder.attributes = Some(at_start);
        if let Some(link) = link {
            builder.links = Some(vec![link]);
        }
        builder
    }

    #[inline]
    pub(super) fn span_kind(&self) -> SpanKind {
        match self.side() {
            Side::Server => SpanKind::Server,
            Side::Client => SpanKind::Client,
        }
    }
}
