//! The filters of the layers.

use opentelemetry::Context;
use otel_runtime::TRACING_SPAN_TARGET;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context as SubscriberContext, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::directives::Directives;
use crate::muted::is_muted;

impl Directives {
    /// Returns the filter of the layers for log records and for stdout.
    pub(super) fn event_filter<S>(&self) -> impl Filter<S> + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        self.filter().and(matching(|metadata| !is_muted(metadata)))
    }

    /// Returns the filter of the layer for spans.
    pub(super) fn span_filter<S>(&self) -> impl Filter<S> + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        self.filter().and(matching(is_span)).and(NotSuppressed)
    }
}

/// Returns whether a span is the program's. Those of the transport below RPCs are as long as a
/// connection, so most would never be exported.
fn is_span(metadata: &Metadata<'_>) -> bool {
    const TRANSPORT: [&str; 4] = ["h2", "hyper", "hyper_util", "tower"];
    let target = metadata.target().split("::").next().unwrap_or_default();
    // The RPC has a span of its own.
    let is_rpc = metadata.target() == TRACING_SPAN_TARGET;
    metadata.is_span() && !is_rpc && !TRANSPORT.contains(&target)
}

fn matching(condition: fn(&Metadata<'_>) -> bool) -> FilterFn<fn(&Metadata<'_>) -> bool> {
    // Without a hint, the combined filter would have none either, and disabled events would no
    // longer be rejected by their level alone.
    filter_fn(condition).with_max_level_hint(LevelFilter::TRACE)
}

/// Rejects spans while telemetry is suppressed: spans of an exporter would be exported, and cause
/// further spans.
///
/// The SDK does this for log records and for spans with a context. It does not see the context of
/// explicit root spans.
struct NotSuppressed;

impl<S> Filter<S> for NotSuppressed {
    fn enabled(&self, _: &Metadata<'_>, _: &SubscriberContext<'_, S>) -> bool {
        !Context::is_current_telemetry_suppressed()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}
