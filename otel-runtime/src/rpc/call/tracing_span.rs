//! The `tracing` span of a call, for the lines of a subscriber that is not otel-setup's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use tracing::Span;
use tracing::field::Empty;

use super::Call;
use crate::grpc::outcome::Outcome;
use crate::rpc::current;
use crate::{guard, semconv};

/// The target of the spans, by which a filter tells them from others.
pub const TRACING_SPAN_TARGET: &str = "otel_runtime::rpc";

/// A value of the context that is current while a span is created.
struct Probe(#[expect(dead_code, reason = "only its reference count is read")] Arc<()>);

impl Call {
    /// Opens a `tracing` span, unless that would be exported beside the call's own span.
    #[cold]
    pub(crate) fn open_tracing_span(&mut self) {
        let base = self.context().cloned().unwrap_or_else(Context::current);
        let opened = guard::SUBSCRIBER.run(|| open(base, self.known_name()));
        if let Some(span) = opened.flatten() {
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
    let span = tracing::info_span!(
        target: TRACING_SPAN_TARGET,
        "rpc",
        rpc.method = method,
        rpc.status_code = Empty,
    );
    drop((attached, suppressed));
    if Arc::strong_count(&probe) > 1 {
        warn_of_exporting_layer();
        return None;
    }
    (!span.is_disabled()).then_some(span)
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
