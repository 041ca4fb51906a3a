//! The processor in front of the exporters, and of the zPages before them: it makes keys of
//! attributes unique, and applies the limits of their number.
//!
//! The SDK counts an attribute that is set again as another one, and drops what is above a limit at
//! once. The last value of a key would be lost. So the limit of the SDK is higher, and spans meet
//! their own when they end.

use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanLimits, SpanProcessor};

use crate::unique_keys;

/// The attributes that a span, an event or a link has room for until the span ends, if the limit
/// is not higher. A span of a stream that records its progress all day fills it: some 30 KB.
const UNTIL_THE_END: u32 = 512;

/// Returns the limits for the SDK, while these are applied by [`LimitedSpans`].
pub(crate) fn until_the_end(limits: SpanLimits) -> SpanLimits {
    SpanLimits {
        max_attributes_per_span: limits.max_attributes_per_span.max(UNTIL_THE_END),
        max_attributes_per_event: limits.max_attributes_per_event.max(UNTIL_THE_END),
        max_attributes_per_link: limits.max_attributes_per_link.max(UNTIL_THE_END),
        ..limits
    }
}

/// A processor with limited spans, whose keys are unique.
#[derive(Debug)]
pub(crate) struct LimitedSpans<P> {
    /// The limits of attributes, unless the SDK applies them.
    limits: Option<SpanLimits>,
    next: P,
}

impl<P> LimitedSpans<P> {
    pub(crate) fn new(limits: Option<SpanLimits>, next: P) -> Self {
        LimitedSpans { limits, next }
    }
}

impl<P: SpanProcessor> SpanProcessor for LimitedSpans<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        unique_keys::in_span(&mut span);
        if let Some(limits) = &self.limits {
            apply(limits, &mut span);
        }
        self.next.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

fn apply(limits: &SpanLimits, span: &mut SpanData) {
    limit(
        &mut span.attributes,
        &mut span.dropped_attributes_count,
        limits.max_attributes_per_span,
    );
    for event in &mut span.events.events {
        limit(
            &mut event.attributes,
            &mut event.dropped_attributes_count,
            limits.max_attributes_per_event,
        );
    }
    for link in &mut span.links.links {
        limit(
            &mut link.attributes,
            &mut link.dropped_attributes_count,
            limits.max_attributes_per_link,
        );
    }
}

/// Drops the attributes above a limit, and counts them.
fn limit(attributes: &mut Vec<KeyValue>, dropped: &mut u32, limit: u32) {
    let excess = attributes.len().saturating_sub(limit as usize);
    if excess > 0 {
        attributes.truncate(limit as usize);
        // The span waits in a queue.
        attributes.shrink_to_fit();
        *dropped = dropped.saturating_add(u32::try_from(excess).unwrap_or(u32::MAX));
    }
}
