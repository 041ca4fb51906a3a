//! The messages of failed assertions: what has been recorded.

use std::fmt::Write;
use std::panic::Location;

use opentelemetry::{KeyValue, Value};

use super::points::RecordedPoint;
use super::sdk::Sdk;
use crate::console::{kind_name, waterfall};
use crate::text::{counted, escape_control};

/// Fails the test with the spans of the telemetry.
///
/// The place where the test waits is part of the message: in an asynchronous function, the one of
/// the panic is always in this crate.
pub(super) fn fail(sdk: &Sdk, caller: &Location<'_>, problem: &str) -> ! {
    panic!("{caller}: {problem}\n\n{}", recorded(sdk))
}

/// Returns all spans as text: a waterfall of those that have ended, and the names of the others.
pub(super) fn recorded(sdk: &Sdk) -> String {
    sdk.recorder.read(|spans| {
        let mut text = waterfall(&spans.ended, false);
        let mut running: Vec<_> = spans.running.values().collect();
        running.sort_by_key(|span| span.start_time);
        for span in running {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "running: {} ({})",
                escape_control(&span.name),
                kind_name(&span.span_kind)
            );
        }
        if text.is_empty() {
            text.push_str(if sdk.is_global {
                "No span was recorded. `TestTelemetry::global` has to be called before the first RPC of the process."
            } else {
                "No span was recorded. The service or a layer around it needs `TestTelemetry::instrumentation`."
            });
        }
        text
    })
}

/// Returns attributes as text: `a=1, b="text"`.
pub(super) fn attributes(attributes: &[KeyValue]) -> String {
    let attributes = attributes.iter();
    let attributes: Vec<_> = attributes
        .map(|it| format!("{}={}", it.key, value(&it.value)))
        .collect();
    attributes.join(", ")
}

/// Returns a value as text. Text is in quotes, which tells `"1"` from `1`.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", text.as_str()),
        other => other.to_string(),
    }
}

/// Returns the data points of a metric as text, one a line.
pub(super) fn points(metric: &str, points: &[RecordedPoint]) -> String {
    let mut text = String::new();
    for point in points {
        let (attributes, value) = (attributes(&point.attributes), point.value);
        let count = match point.count {
            0 => String::new(),
            count => format!(", of {}", counted(count, "measurements")),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{metric}{{{attributes}}}: {value}{count}");
    }
    if points.is_empty() {
        text.push_str("The metric has no data points.\n");
    }
    text
}
