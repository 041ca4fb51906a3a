//! What the forms of lines have in common.

use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::field::Field;

use crate::text;

/// The span that an event belongs to, which is that of the log record, too: the current one.
pub(super) fn current_span() -> Option<SpanContext> {
    let span = Context::map_current(|context| context.span().span_context().clone());
    span.is_valid().then_some(span)
}

/// What the `log` crate's records bring along among their fields. It is in the event's metadata, too.
pub(super) fn is_log_crate_field(name: &str) -> bool {
    matches!(name, "log.target" | "log.module_path" | "log.file" | "log.line")
}

/// `None` for what is no field of the program's.
pub(super) fn field_name(field: &Field) -> Option<&'static str> {
    Some(field.name()).filter(|name| !is_log_crate_field(name))
}

pub(super) fn now() -> String {
    text::time(SystemTime::now()).unwrap_or_default()
}
