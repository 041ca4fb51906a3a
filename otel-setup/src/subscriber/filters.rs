//! Which events and spans are for which layer.

use opentelemetry::Context;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context as SubscriberContext, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::directives::Directives;
use crate::muted::is_muted;

impl Directives {
    /// Of lines and log records.
    pub(super) fn event_filter<S>(&self) -> impl Filter<S> + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        self.filter().and(matching(|metadata| !is_muted(metadata)))
    }

    /// Of spans, in which `RUST_LOG=warn` is to tear no holes.
    pub(super) fn span_filter<S>(&self) -> impl Filter<S> + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let verbose = LevelFilter::INFO.or(self.filter());
        verbose.and(matching(is_span)).and(NotSuppressed)
    }
}

fn is_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
}

fn matching(condition: fn(&Metadata<'_>) -> bool) -> FilterFn<fn(&Metadata<'_>) -> bool> {
    // Without a hint it would take that of the others away, and with it the cheap way to say no.
    filter_fn(condition).with_max_level_hint(LevelFilter::TRACE)
}

/// Leaves out what the exporters do: a batch of spans that makes spans would never end. The SDK sees to that, of log records as well, but for spans that say that they have no parent: these are not told of the
/// current context.
struct NotSuppressed;

impl<S> Filter<S> for NotSuppressed {
    fn enabled(&self, _: &Metadata<'_>, _: &SubscriberContext<'_, S>) -> bool {
        !Context::is_current_telemetry_suppressed()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}
