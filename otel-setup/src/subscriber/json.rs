//! The JSON format of stdout.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::event::{current_span, field_name, now};
use crate::text::json_line;

/// Formats each event as one JSON object.
pub(super) struct Json;

/// The JSON object of an event. Fields have an object of their own, so their names cannot collide
/// with other members.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    target: &'a str,
    message: String,
    fields: BTreeMap<&'static str, Value>,
    #[serde(flatten)]
    ids: Option<Ids>,
}

/// The ids, named as the specification requires for [formats other than
/// OTLP](https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/).
#[derive(Serialize)]
struct Ids {
    trace_id: String,
    span_id: String,
    trace_flags: String,
}

impl Ids {
    fn current() -> Option<Self> {
        let span = current_span()?;
        Some(Ids {
            trace_id: span.trace_id().to_string(),
            span_id: span.span_id().to_string(),
            trace_flags: format!("{:02x}", span.trace_flags()),
        })
    }
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // `Some` for records of the `log` crate.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let mut fields = FieldVisitor::default();
        event.record(&mut fields);
        let line = Line {
            timestamp: now(),
            level: metadata.level().as_str(),
            target: metadata.target(),
            message: fields.message,
            fields: fields.fields,
            ids: Ids::current(),
        };
        let line = json_line(&line).map_err(|_| fmt::Error)?;
        writeln!(to, "{line}")
    }
}

/// Collects the message and the fields of an event.
#[derive(Default)]
struct FieldVisitor {
    message: String,
    fields: BTreeMap<&'static str, Value>,
}

impl FieldVisitor {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        match field_name(field) {
            Some("message") => {
                self.message = match value.into() {
                    Value::String(text) => text,
                    value => value.to_string(),
                }
            }
            Some(name) => {
                self.fields.insert(name, value.into());
            }
            None => {}
        }
    }
}

impl Visit for FieldVisitor {
    fn record_f64(&mut self, field: &Field, value: f64) {
        match value {
            value if value.is_finite() => self.insert(field, value),
            // JSON has no such numbers. These strings are OTLP's.
            value if value.is_nan() => self.insert(field, "NaN"),
            value if value > 0.0 => self.insert(field, "Infinity"),
            _ => self.insert(field, "-Infinity"),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.insert(field, BASE64_STANDARD.encode(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.insert(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

/// Formats nothing: lines contain no fields of spans, which are in the trace.
pub(super) struct NoFields;

impl<'w> FormatFields<'w> for NoFields {
    fn format_fields<R: RecordFields>(&self, _: Writer<'w>, _: R) -> fmt::Result {
        Ok(())
    }
}
