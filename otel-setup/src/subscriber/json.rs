//! The JSON format of stdout.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::event::{current_span, field_name, is_shown, now, written};
use crate::json_line::json_line;

/// Formats each event as one JSON object.
pub(super) struct Json {
    /// Whether lines have the fields of enclosing spans.
    pub(super) span_fields: bool,
}

/// The JSON object of an event. Fields have an object of their own, so their names cannot collide
/// with other members.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    target: &'a str,
    message: String,
    fields: BTreeMap<&'static str, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<Enclosing>,
    #[serde(rename = "rpc.method", skip_serializing_if = "Option::is_none")]
    rpc_method: Option<&'static str>,
    #[serde(flatten)]
    ids: Option<Ids>,
}

/// An enclosing `tracing` span.
#[derive(Serialize)]
struct Enclosing {
    name: &'static str,
    fields: Box<RawValue>,
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

impl<S> FormatEvent<S, JsonFields> for Json
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
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
            spans: if self.span_fields {
                enclosing(context)
            } else {
                Vec::new()
            },
            rpc_method: otel_runtime::current_method(),
            ids: Ids::current(),
        };
        let line = json_line(&line).map_err(|_| fmt::Error)?;
        writeln!(to, "{line}")
    }
}

/// Returns the enclosing spans, from the outermost.
fn enclosing<S>(context: &FmtContext<'_, S, JsonFields>) -> Vec<Enclosing>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let scope = context.event_scope().map(Scope::from_root);
    let spans = scope.into_iter().flatten().filter(|span| is_shown(span.metadata()));
    let spans = spans.filter_map(|span| {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<JsonFields>>()?;
        let fields = RawValue::from_string(fields.fields.clone()).ok()?;
        Some(Enclosing {
            name: span.name(),
            fields,
        })
    });
    spans.collect()
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
        self.insert(field, written(format_args!("{value}")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, written(format_args!("{value:?}")));
    }
}

/// Formats the fields of a span as a JSON object.
pub(super) struct JsonFields;

impl<'w> FormatFields<'w> for JsonFields {
    fn format_fields<R: RecordFields>(&self, mut to: Writer<'w>, fields: R) -> fmt::Result {
        let object = json_line(&object(fields)).map_err(|_| fmt::Error)?;
        to.write_str(&object)
    }

    /// Adds fields that are recorded later. A later value replaces an earlier one.
    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut all: Map<String, Value> = serde_json::from_str(&current.fields).unwrap_or_default();
        let added = object(fields).into_iter();
        all.extend(added.map(|(name, value)| (name.to_owned(), value)));
        current.fields = json_line(&all).map_err(|_| fmt::Error)?;
        Ok(())
    }
}

fn object(fields: impl RecordFields) -> BTreeMap<&'static str, Value> {
    let mut visitor = FieldVisitor::default();
    fields.record(&mut visitor);
    if !visitor.message.is_empty() {
        visitor.fields.insert("message", visitor.message.into());
    }
    visitor.fields
}
