//! Draws traces as text: one line per span, indented below its parent, with a bar that shows when
//! it ran.

mod columns;
#[cfg(feature = "zpages")]
mod lines;
mod tree;

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Status, TraceId};
use opentelemetry_sdk::trace::SpanData;

pub(crate) use self::columns::kind;
use self::columns::{Columns, duration, status, width};
pub(super) use self::tree::AncestorNames;
use self::tree::{Line, Node};
#[cfg(feature = "zpages")]
pub(crate) use self::{
    columns::status as status_text,
    lines::{WaterfallLine, waterfall_lines},
};
use crate::text::{Paint, escape_control};

/// The width in cells of a bar that covers the whole trace.
const BAR_WIDTH: u32 = 30;

/// The minimum duration of a trace: a nanosecond per cell. Below it, cells would begin at the same
/// time.
const MIN_DURATION: Duration = Duration::from_nanos(BAR_WIDTH as u64);

/// Draws the traces of `spans`, in the order of their start.
///
/// Each span is one line: name, kind, duration, RPC status code, and a bar that shows when it ran.
/// The name is indented below the parent's. The description of an error follows below.
/// A parent that is not among `spans` is shown by its id. With `color` the text contains ANSI
/// escape sequences; control characters in `spans` are escaped.
///
/// # Example
///
/// ```
/// use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
/// use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
/// use otel_setup::console::waterfall;
///
/// let spans = InMemorySpanExporter::default();
/// let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
/// let tracer = provider.tracer("shop");
/// tracer.in_span("order", |_| tracer.in_span("pay", |_| {}));
///
/// let drawn = waterfall(&spans.get_finished_spans().unwrap(), false);
/// let lines: Vec<&str> = drawn.lines().collect();
/// assert!(lines[0].starts_with("trace 1 "));
/// assert!(lines[1].starts_with("order   internal "));
/// assert!(lines[2].starts_with("└─ pay  internal "));
/// ```
///
/// # Panics
///
/// Never, even for inconsistent times or cycles of parents.
#[must_use]
pub fn waterfall(spans: &[SpanData], color: bool) -> String {
    let ancestors = AncestorNames::new();
    let traces: Vec<Trace<'_>> = by_trace(spans)
        .into_iter()
        .enumerate()
        .map(|(index, spans)| Trace::new(format!("trace {}", index + 1), "", spans, &ancestors))
        .collect();
    draw(&traces, color)
}

/// Draws the traces in the given order, separated by empty lines.
pub(super) fn draw(traces: &[Trace<'_>], color: bool) -> String {
    let columns = Columns::fitting(traces.iter().flat_map(|trace| &trace.lines));
    let mut text = String::new();
    for (index, trace) in traces.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        trace.draw(columns, Paint { color }, &mut text);
    }
    text
}

/// Groups the spans by trace. Traces and their spans are sorted by their start.
fn by_trace(spans: &[SpanData]) -> Vec<Vec<&SpanData>> {
    let mut spans: Vec<&SpanData> = spans.iter().collect();
    spans.sort_by_key(|span| span.start_time);
    let mut traces: Vec<Vec<&SpanData>> = Vec::new();
    let mut indices = HashMap::new();
    for span in spans {
        let index = *indices.entry(span.span_context.trace_id()).or_insert(traces.len());
        match traces.get_mut(index) {
            Some(trace) => trace.push(span),
            None => traces.push(vec![span]),
        }
    }
    traces
}

/// A trace, or a part of one, laid out in lines.
pub(super) struct Trace<'a> {
    heading: String,
    id: TraceId,
    /// The text after the id.
    remark: &'static str,
    start: SystemTime,
    duration: Duration,
    lines: Vec<Line<'a>>,
}

impl<'a> Trace<'a> {
    /// Lays out the spans of one trace, at least one.
    pub(super) fn new(
        heading: String,
        remark: &'static str,
        mut spans: Vec<&'a SpanData>,
        ancestors: &'a AncestorNames,
    ) -> Self {
        spans.sort_by_key(|span| span.start_time);
        let start = spans.first().map_or(SystemTime::UNIX_EPOCH, |span| span.start_time);
        let end = spans.iter().map(|span| span.end_time).max().unwrap_or(start);
        Trace {
            heading,
            id: spans
                .first()
                .map_or(TraceId::INVALID, |span| span.span_context.trace_id()),
            remark,
            start,
            duration: end.duration_since(start).unwrap_or_default().max(MIN_DURATION),
            lines: tree::lines(&spans, ancestors),
        }
    }

    fn draw(&self, columns: Columns, paint: Paint, text: &mut String) {
        let heading = paint.bold(&self.heading);
        let id = paint.dim(&self.id.to_string());
        push_line(text, &format!("{heading} {id} {}", self.remark));
        for line in &self.lines {
            let name = line.node.name();
            let Node::Span(span) = line.node else {
                push_line(text, &paint.dim(&format!("{}{name}", line.branch)));
                continue;
            };
            let failed = matches!(span.status, Status::Error { .. });
            let padding = columns.name - width(&line.branch) - width(&name);
            let duration = duration(span);
            let status = status(span);
            let drawn = format!(
                "{branch}{name}{:padding$}  {kind:8}  {duration:>9}  {status}  {bar}",
                "",
                branch = paint.dim(&line.branch),
                kind = kind(&span.span_kind),
                status = paint.error(&format!("{status:width$}", width = columns.status), failed),
                bar = paint.bar(&self.bar(span), failed),
            );
            push_line(text, &drawn);
            if let Status::Error { description } = &span.status {
                for part in description.lines() {
                    let trunk = paint.dim(&line.trunk);
                    push_line(text, &format!("{trunk}{}", paint.error(&escape_control(part), true)));
                }
            }
        }
    }

    /// Returns the bar of a span within the time of the trace. A span without a duration is a thin
    /// mark.
    fn bar(&self, span: &SpanData) -> String {
        let since_start = |time: SystemTime| time.duration_since(self.start).unwrap_or_default();
        let (from, to) = (since_start(span.start_time), since_start(span.end_time));
        let cell_start = |cell: u32| self.duration.saturating_mul(cell) / BAR_WIDTH;
        let left = (1..BAR_WIDTH).filter(|cell| cell_start(*cell) <= from).count();
        let right = (0..BAR_WIDTH).filter(|cell| cell_start(*cell) < to).count();
        let bar = if from < to {
            "█".repeat(right - left)
        } else {
            "▏".to_owned()
        };
        " ".repeat(left) + &bar
    }
}

fn push_line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests;
