//! Log lines inside of spans.

use std::fmt::Write as _;
use std::mem::size_of;
use std::time::SystemTime;

use opentelemetry::logs::Severity;
use opentelemetry::{InstrumentationScope, SpanId};
use opentelemetry_sdk::logs::SdkLogRecord;

use crate::console;
use crate::zpages::size::shortened;

/// The maximum length of the text of a line.
const MAX_TEXT: usize = 1024;

/// A log record as text.
#[derive(Clone, Debug)]
pub(super) struct LogLine {
    pub(super) time: SystemTime,
    pub(super) severity: Option<Severity>,
    pub(super) span_id: SpanId,
    /// The target, usually a module.
    pub(super) source: Box<str>,
    /// The message, and the attributes as `key=value`.
    pub(super) text: Box<str>,
}

impl LogLine {
    pub(super) fn new(record: &SdkLogRecord, scope: &InstrumentationScope, span_id: SpanId) -> Self {
        let message = record.body().map(console::any_value);
        let mut text = message.or(record.event_name().map(str::to_owned)).unwrap_or_default();
        for (key, value) in record.attributes_iter() {
            if text.len() > MAX_TEXT {
                break;
            }
            let separator = if text.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(text, "{separator}{key}={}", console::any_value(value));
        }
        let source = record.target().map_or(scope.name(), AsRef::as_ref);
        LogLine {
            time: record
                .timestamp()
                .or(record.observed_timestamp())
                .unwrap_or_else(SystemTime::now),
            severity: record.severity_number(),
            span_id,
            source: shortened(source, MAX_TEXT / 4).into(),
            text: shortened(&text, MAX_TEXT).into(),
        }
    }

    /// Returns the bytes that it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<LogLine>() + self.source.len() + self.text.len()
    }
}
