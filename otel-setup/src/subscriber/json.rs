//! Lines for programs.

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

/// One object a line.
pub(super) struct Json;

/// Fields are apart, so that none of them can be taken for one of ours.
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

/// As the specification calls them in [formats that are not OTLP](https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/).
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
        let of_log = event.normalized_metadata();
        let metadata = of_log.as_ref().unwrap_or_else(|| event.metadata());
        let mut recorded = Recorded::default();
        event.record(&mut recorded);
        let line = Line {
            timestamp: now(),
            level: metadata.level().as_str(),
            target: metadata.target(),
            message: recorded.message,
            fields: recorded.fields,
            ids: Ids::current(),
        };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(to, "{line}")
    }
}

#[derive(Default)]
struct Recorded {
    message: String,
    fields: BTreeMap<&'static str, Value>,
}

impl Recorded {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
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

impl Visit for Recorded {
    fn record_f64(&mut self, field: &Field, value: f64) {
        match value {
            value if value.is_finite() => self.put(field, value),
            // JSON has no word for them. These are OTLP's.
            value if value.is_nan() => self.put(field, "NaN"),
            value if value > 0.0 => self.put(field, "Infinity"),
            _ => self.put(field, "-Infinity"),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.put(field, BASE64_STANDARD.encode(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

/// The fields of spans, which the lines do not have: their trace has.
pub(super) struct NoFields;

impl<'w> FormatFields<'w> for NoFields {
    fn format_fields<R: RecordFields>(&self, _: Writer<'w>, _: R) -> fmt::Result {
        Ok(())
    }
}
