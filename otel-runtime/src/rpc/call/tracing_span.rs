//! The `tracing` span of a call, for the lines of a subscriber that is not otel-setup's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::{Level, Metadata, Span, dispatcher};
use tracing_core::callsite::DefaultCallsite;
use tracing_core::field::Value;
use tracing_core::metadata::Kind;

use super::Call;
use crate::grpc::outcome::Outcome;
use crate::rpc::current;
use crate::{guard, semconv};

/// The target of the spans, by which a filter tells them from others.
pub const TRACING_SPAN_TARGET: &str = "otel_runtime::rpc";

const LEVEL: Level = Level::INFO;

// Not within `info_span!`, which does not say whether its spans are disabled before it creates one.
static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
static METADATA: Metadata<'static> = tracing_core::metadata! {
    name: "rpc",
    target: TRACING_SPAN_TARGET,
    level: LEVEL,
    fields: &[semconv::RPC_METHOD, semconv::RPC_STATUS_CODE],
    callsite: &CALLSITE,
    kind: Kind::SPAN,
};

/// A value of the context that is current while a span is created.
struct Probe(#[expect(dead_code, reason = "only its reference count is read")] Arc<()>);

impl Call {
    /// Opens a `tracing` span, unless that would be exported beside the call's own span.
    #[cold]
    pub(crate) fn open_tracing_span(&mut self) {
        let opened = guard::SUBSCRIBER.run(|| {
            let base = || self.context().cloned().unwrap_or_else(Context::current);
            may_be_enabled().then(|| open(base(), self.known_name()))
        });
        if let Some(span) = opened.flatten().flatten() {
            self.extras.set_tracing_span(span);
        }
    }

    #[inline]
    pub(crate) fn tracing_span(&self) -> Option<&Span> {
        self.extras.tracing_span()
    }

    /// Sets the method of the `tracing` span, which was not known when the span was opened.
    #[cold]
    pub(super) fn record_tracing_method(&self) {
        if let Some(span) = self.tracing_span() {
            guard::SUBSCRIBER.run(|| span.record(semconv::RPC_METHOD, self.method.name()));
        }
    }

    /// Sets the status code of the `tracing` span.
    #[cold]
    pub(super) fn end_tracing_span(&self, span: &Span, outcome: Outcome<'_>) {
        if self.unresolved.is_some() {
            self.record_tracing_method();
        }
        guard::SUBSCRIBER.run(|| span.record(semconv::RPC_STATUS_CODE, outcome.code_str()));
    }
}

/// Returns `false` if no subscriber has an interest in the spans, whatever the call.
#[inline]
fn may_be_enabled() -> bool {
    LEVEL <= STATIC_MAX_LEVEL && LEVEL <= LevelFilter::current() && !CALLSITE.interest().is_never()
}

/// Creates a span in the current context, unless the current subscriber disables it.
fn create(method: Option<&'static str>) -> Option<Span> {
    let is_enabled = CALLSITE.interest().is_always() || dispatcher::get_default(|current| current.enabled(&METADATA));
    if !is_enabled {
        return None;
    }
    let fields = METADATA.fields();
    let field = fields.field(semconv::RPC_METHOD)?;
    let method = method.as_ref().map(|method| method as &dyn Value);
    // tracing's macros need this function of tracing-core, although it is hidden from the docs.
    let span = Span::new(&METADATA, &fields.value_set(&[(&field, method)]));
    (!span.is_disabled()).then_some(span)
}

/// Opens a span in the context `base`, or returns `None` if a layer of the subscriber exports it.
///
/// A layer that makes OpenTelemetry spans of `tracing` spans keeps the context in which a span is
/// created, as the parent of its own. So a value of that context outlives it. Telemetry is
/// suppressed in it, so that the layer exports nothing when the span is dropped.
fn open(base: Context, method: Option<&'static str>) -> Option<Span> {
    let probe = Arc::new(());
    let suppressed = base.with_value(Probe(Arc::clone(&probe))).with_telemetry_suppressed();
    drop(base);
    let attached = current::attach(&suppressed);
    let span = create(method);
    drop((attached, suppressed));
    if Arc::strong_count(&probe) > 1 {
        warn_of_exporting_layer();
        return None;
    }
    span
}

#[cold]
fn warn_of_exporting_layer() {
    static WARNED: AtomicBool = AtomicBool::new(false);

    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "otel_runtime",
            "`tracing_span` opens no span, since a layer of the `tracing` subscriber would export it beside the RPC's own: \
             add a filter to that layer that rejects the target `{TRACING_SPAN_TARGET}` (logged once)"
        );
    }
}
