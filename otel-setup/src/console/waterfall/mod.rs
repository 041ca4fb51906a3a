//! Draws traces as text: one line per span, indented below its parent, with a bar that shows when
//! it ran.

mod columns;
mod tree;

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Status, TraceId};
use opentelemetry_sdk::trace::SpanData;

pub(crate) use self::columns::kind;
#[cfg(feature = "zpages")]
pub(crate) use self::columns::status as status_text;
use self::columns::{Columns, duration, status, width};
pub(super) use self::tree::AncestorNames;
use self::tree::{Line, Node};
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

/// A line, and when its span ran, for outputs other than text.
#[cfg(feature = "zpages")]
pub(crate) struct WaterfallLine<'a> {
    /// The branch in front of the name: `│  ├─ `.
    pub(crate) branch: String,
    pub(crate) name: String,
    /// `None` for a parent that is not among the spans.
    pub(crate) span: Option<&'a SpanData>,
    /// The start, in thousandths of the trace.
    pub(crate) from: u32,
    /// The duration, in thousandths of the trace, at least one.
    pub(crate) width: u32,
}

/// Returns the lines of the traces of `spans`, in the order of their start.
#[cfg(feature = "zpages")]
pub(crate) fn waterfall_lines(spans: &[SpanData]) -> Vec<WaterfallLine<'_>> {
    static NONE: std::sync::LazyLock<AncestorNames> = std::sync::LazyLock::new(AncestorNames::new);
    let traces = by_trace(spans)
        .into_iter()
        .map(|spans| Trace::new(String::new(), "", spans, &NONE));
    traces.flat_map(thousandths_of).collect()
}

#[cfg(feature = "zpages")]
fn thousandths_of(trace: Trace<'_>) -> Vec<WaterfallLine<'_>> {
    let (start, whole) = (trace.start, trace.duration.as_secs_f64());
    let thousandths = |time: SystemTime| {
        let part = time.duration_since(start).unwrap_or_default().as_secs_f64() / whole;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 1,000"
        )]
        {
            (part.clamp(0.0, 1.0) * 1000.0) as u32
        }
    };
    let lines = trace.lines.into_iter().map(|line| {
        let name = line.node.name().into_owned();
        let span = match line.node {
            Node::Span(span) => Some(span),
            _ => None,
        };
        let from = span.map_or(0, |span| thousandths(span.start_time)).min(999);
        let to = span.map_or(0, |span| thousandths(span.end_time));
        WaterfallLine {
            branch: line.branch,
            name,
            span,
            from,
            width: to.saturating_sub(from).max(1),
        }
    });
    lines.collect()
}

fn push_line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests;
