//! Parts of an event that both formats of stdout write.

use std::fmt::{self, Write};
use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use otel_runtime::TRACING_SPAN_TARGET;
use tracing::Metadata;
use tracing::field::Field;

use crate::panic_guard::FIELD;
use crate::text;

/// Returns the context of the current OpenTelemetry span, the same that log records get.
pub(super) fn current_span() -> Option<SpanContext> {
    let span = Context::map_current(|context| context.span().span_context().clone());
    span.is_valid().then_some(span)
}

/// Returns whether lines show a span. The span of [`ServerLayer::tracing_span`] has nothing that
/// they do not show anyway.
///
/// [`ServerLayer::tracing_span`]: otel_runtime::ServerLayer::tracing_span
pub(super) fn is_shown(span: &Metadata<'_>) -> bool {
    span.target() != TRACING_SPAN_TARGET
}

/// Returns true for the fields that `tracing-log` adds to records of the `log` crate. Their values
/// are in the normalized metadata.
pub(super) fn is_log_crate_field(name: &str) -> bool {
    matches!(name, "log.target" | "log.module_path" | "log.file" | "log.line")
}

/// Returns the name of a field that the program has set.
pub(super) fn field_name(field: &Field) -> Option<&'static str> {
    Some(field.name()).filter(|name| !is_log_crate_field(name))
}

/// Writes the value of a field, whose `Debug` or `Display` may panic or fail.
pub(super) fn written(value: fmt::Arguments<'_>) -> String {
    let mut text = String::new();
    match FIELD.run(|| text.write_fmt(value)) {
        Some(Ok(())) => text,
        // A line is worth more than nothing, and here a lock of the span may be held.
        _ => "(cannot be formatted)".to_owned(),
    }
}

pub(super) fn now() -> String {
    text::time(SystemTime::now()).unwrap_or_default()
}
