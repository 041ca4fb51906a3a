//! A sampler and tracers around the program's samplers and span processors, which may panic.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{
    Link, Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample,
    Span as SdkSpan,
};

use crate::panic_guard::{SAMPLER, SPAN_PROCESSOR};

/// A sampler that follows the parent's decision if it has none of its own.
#[derive(Clone, Debug)]
pub(crate) struct GuardedSampler(pub(crate) Box<dyn ShouldSample>);

impl ShouldSample for GuardedSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampled = SAMPLER.run(|| self.0.should_sample(parent, trace_id, name, kind, attributes, links));
        sampled.unwrap_or_else(|| as_parent(parent))
    }
}

#[cold]
fn as_parent(parent: Option<&Context>) -> SamplingResult {
    let parent = parent.map(|parent| parent.span().span_context().clone());
    let parent = parent.unwrap_or(SpanContext::NONE);
    SamplingResult {
        decision: if parent.is_sampled() {
            SamplingDecision::RecordAndSample
        } else {
            SamplingDecision::Drop
        },
        attributes: Vec::new(),
        trace_state: parent.trace_state().clone(),
    }
}

/// The global provider.
#[derive(Clone, Debug)]
pub(crate) struct GuardedTracers(pub(crate) SdkTracerProvider);

impl TracerProvider for GuardedTracers {
    type Tracer = GuardedTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> GuardedTracer {
        GuardedTracer(self.0.tracer_with_scope(scope))
    }
}

/// A tracer of `tracing` spans, or of those that the program starts.
#[derive(Debug)]
pub(crate) struct GuardedTracer(pub(crate) SdkTracer);

impl Tracer for GuardedTracer {
    type Span = GuardedSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> GuardedSpan {
        let span = SPAN_PROCESSOR.run(|| self.0.build_with_context(builder, parent));
        span.map_or_else(
            || GuardedSpan::Lost(lost(parent.span().span_context())),
            GuardedSpan::Started,
        )
    }
}

/// Returns the context of a span that could not be started. Without a parent, it begins a trace,
/// which those inside have in common. It is sampled: processors do not meet a span that is not.
#[cold]
fn lost(parent: &SpanContext) -> SpanContext {
    if parent.is_valid() {
        return parent.clone();
    }
    let ids = RandomIdGenerator::default();
    let (trace, span) = (ids.new_trace_id(), ids.new_span_id());
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// A span whose end may panic.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all spans are started")]
pub(crate) enum GuardedSpan {
    Started(SdkSpan),
    /// A span that could not be started. Spans inside get its parent, if it has one.
    Lost(SpanContext),
}

impl GuardedSpan {
    fn started(&mut self) -> Option<&mut SdkSpan> {
        match self {
            GuardedSpan::Started(span) => Some(span),
            GuardedSpan::Lost(_) => None,
        }
    }
}

impl Span for GuardedSpan {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        if let Some(span) = self.started() {
            span.add_event_with_timestamp(name, timestamp, attributes);
        }
    }

    fn span_context(&self) -> &SpanContext {
        match self {
            GuardedSpan::Started(span) => span.span_context(),
            GuardedSpan::Lost(parent) => parent,
        }
    }

    fn is_recording(&self) -> bool {
        matches!(self, GuardedSpan::Started(span) if span.is_recording())
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        if let Some(span) = self.started() {
            span.set_attribute(attribute);
        }
    }

    fn set_attributes(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        if let Some(span) = self.started() {
            span.set_attributes(attributes);
        }
    }

    fn set_status(&mut self, status: Status) {
        if let Some(span) = self.started() {
            span.set_status(status);
        }
    }

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, name: T) {
        if let Some(span) = self.started() {
            span.update_name(name);
        }
    }

    fn add_link(&mut self, context: SpanContext, attributes: Vec<KeyValue>) {
        if let Some(span) = self.started() {
            span.add_link(context, attributes);
        }
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        if let Some(span) = self.started() {
            SPAN_PROCESSOR.run(|| span.end_with_timestamp(timestamp));
        }
    }
}

impl Drop for GuardedSpan {
    fn drop(&mut self) {
        // The SDK would end it without a guard.
        if self.is_recording() {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{Sampler, SpanData, SpanProcessor};

    use super::*;

    /// Panics when the first span starts.
    #[derive(Debug, Default)]
    struct PanicsOnce(AtomicBool);

    impl SpanProcessor for PanicsOnce {
        fn on_start(&self, _: &mut SdkSpan, _: &Context) {
            assert!(self.0.swap(true, Ordering::Relaxed), "on purpose");
        }

        fn on_end(&self, _: SpanData) {}

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    fn remote(is_sampled: bool) -> SpanContext {
        let flags = TraceFlags::default().with_sampled(is_sampled);
        SpanContext::new(TraceId::from(1), 2.into(), flags, true, TraceState::NONE)
    }

    #[test]
    fn spans_inside_a_lost_one_are_sampled_in_one_trace() {
        let by_parent = || Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        for (parent, sampler, is_recording) in [
            (remote(true), by_parent(), true),
            (remote(false), Sampler::AlwaysOn, true),
            (SpanContext::NONE, by_parent(), true),
            (SpanContext::NONE, Sampler::AlwaysOn, true),
            (SpanContext::NONE, Sampler::AlwaysOff, false),
        ] {
            let case = format!("{parent:?} {sampler:?}");
            let provider = SdkTracerProvider::builder()
                .with_sampler(sampler)
                .with_span_processor(PanicsOnce::default())
                .build();
            let tracer = GuardedTracer(provider.tracer("test"));
            let outer = Context::new();
            let outer = if parent.is_valid() {
                outer.with_remote_span_context(parent.clone())
            } else {
                outer
            };
            let lost = tracer.start_with_context("lost", &outer);
            assert!(!lost.is_recording(), "{case}");
            let outer = outer.with_span(lost);
            let [first, second] = ["first", "second"].map(|name| tracer.start_with_context(name, &outer));
            assert_eq!([&first, &second].map(Span::is_recording), [is_recording; 2], "{case}");
            let ids = [&first, &second].map(|span| span.span_context().trace_id());
            assert_eq!(ids[0], ids[1], "{case}");
            assert_ne!(ids[0], TraceId::INVALID, "{case}");
            assert!(!parent.is_valid() || ids[0] == parent.trace_id(), "{case}");
        }
    }
}
