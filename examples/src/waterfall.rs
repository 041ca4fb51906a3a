//! Traces as text: one line for each span, indented below its parent, with a bar that shows when it ran.

use std::collections::HashSet;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry_sdk::trace::SpanData;

/// How many cells wide a bar is that takes the whole of its trace's time.
const BAR_WIDTH: u32 = 30;

/// A nanosecond for each cell of a bar, so that a trace that took no time can be drawn like any other.
const SHORTEST: Duration = Duration::from_nanos(BAR_WIDTH as u64);

/// Draws every trace that `spans` belong to, the one that started first at the top.
///
/// With `colour` the text has the escape sequences that terminals understand.
#[must_use]
pub fn waterfall(spans: &[SpanData], colour: bool) -> String {
    let traces: Vec<Trace<'_>> = traces(spans).iter().map(|spans| Trace::new(spans)).collect();
    let columns = Columns::fitting(traces.iter().flat_map(|trace| &trace.lines));
    let mut text = String::new();
    for (index, trace) in traces.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        trace.draw(index + 1, columns, Paint { colour }, &mut text);
    }
    text
}

/// The spans of each trace, both in the order in which they started.
fn traces(spans: &[SpanData]) -> Vec<Vec<&SpanData>> {
    let mut spans: Vec<&SpanData> = spans.iter().collect();
    spans.sort_by_key(|span| span.start_time);
    let mut traces: Vec<Vec<&SpanData>> = Vec::new();
    for span in spans {
        let trace_id = span.span_context.trace_id();
        match traces
            .iter_mut()
            .find(|trace| trace[0].span_context.trace_id() == trace_id)
        {
            Some(trace) => trace.push(span),
            None => traces.push(vec![span]),
        }
    }
    traces
}

/// One trace, its spans in the order of their lines.
struct Trace<'a> {
    id: TraceId,
    start: SystemTime,
    duration: Duration,
    lines: Vec<Line<'a>>,
}

/// A line, and the lines of the description below it.
struct Line<'a> {
    /// What stands before the name: `│  ├─ `.
    branch: String,
    /// What stands in its place on the lines below: `│  │  `.
    trunk: String,
    node: Node<'a>,
}

enum Node<'a> {
    Span(&'a SpanData),
    /// A span that others have as their parent, and that is not among those to draw.
    Elsewhere {
        id: SpanId,
        remote: bool,
    },
}

impl Node<'_> {
    fn id(&self) -> SpanId {
        match self {
            Node::Span(span) => span.span_context.span_id(),
            Node::Elsewhere { id, .. } => *id,
        }
    }

    fn name(&self) -> String {
        match self {
            Node::Span(span) => span.name.clone().into_owned(),
            Node::Elsewhere { id, remote: true } => format!("(remote parent {id})"),
            Node::Elsewhere { id, remote: false } => format!("(missing parent {id})"),
        }
    }
}

impl<'a> Trace<'a> {
    /// `spans` are those of one trace, at least one.
    fn new(spans: &[&'a SpanData]) -> Self {
        let start = spans[0].start_time;
        let end = spans.iter().map(|span| span.end_time).max().unwrap_or(start);
        let mut trace = Trace {
            id: spans[0].span_context.trace_id(),
            start,
            duration: end.duration_since(start).unwrap_or_default().max(SHORTEST),
            lines: Vec::with_capacity(spans.len()),
        };
        for root in roots(spans) {
            trace.add(root, spans, String::new(), "");
        }
        trace
    }

    /// Adds the lines of a node and of everything below it.
    fn add(&mut self, node: Node<'a>, spans: &[&'a SpanData], branch: String, trunk: &str) {
        let id = node.id();
        let children: Vec<_> = spans.iter().filter(|span| span.parent_span_id == id).collect();
        self.lines.push(Line {
            branch,
            trunk: if children.is_empty() {
                format!("{trunk}   ")
            } else {
                format!("{trunk}│  ")
            },
            node,
        });
        for (index, child) in children.iter().enumerate() {
            let (branch, below) = if index + 1 < children.len() {
                ("├─ ", "│  ")
            } else {
                ("└─ ", "   ")
            };
            self.add(
                Node::Span(child),
                spans,
                format!("{trunk}{branch}"),
                &format!("{trunk}{below}"),
            );
        }
    }

    fn draw(&self, number: usize, columns: Columns, paint: Paint, text: &mut String) {
        let heading = paint.bold(&format!("trace {number}"));
        let id = paint.dim(&self.id.to_string());
        push_line(text, &format!("{heading} {id}"));
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
                kind = kind(span),
                status = paint.error(&format!("{status:width$}", width = columns.status), failed),
                bar = paint.bar(&self.bar(span), failed),
            );
            push_line(text, &drawn);
            if let Status::Error { description } = &span.status {
                for part in description.lines() {
                    let trunk = paint.dim(&line.trunk);
                    push_line(text, &format!("{trunk}{}", paint.error(part, true)));
                }
            }
        }
    }

    /// When the span ran, as part of the trace's time. One that took no time is a thin mark.
    fn bar(&self, span: &SpanData) -> String {
        let since_start = |time: SystemTime| time.duration_since(self.start).unwrap_or_default();
        let (from, to) = (since_start(span.start_time), since_start(span.end_time));
        let cell_start = |cell: u32| self.duration * cell / BAR_WIDTH;
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

/// The nodes without a parent, in the order in which they, or the first of their children, started.
fn roots<'a>(spans: &[&'a SpanData]) -> Vec<Node<'a>> {
    let present: HashSet<SpanId> = spans.iter().map(|span| span.span_context.span_id()).collect();
    let mut elsewhere = HashSet::new();
    spans
        .iter()
        .filter_map(|span| match span.parent_span_id {
            SpanId::INVALID => Some(Node::Span(span)),
            id if !present.contains(&id) && elsewhere.insert(id) => Some(Node::Elsewhere {
                id,
                remote: span.parent_span_is_remote,
            }),
            _ => None,
        })
        .collect()
}

fn kind(span: &SpanData) -> &'static str {
    match span.span_kind {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "internal",
    }
}

fn duration(span: &SpanData) -> String {
    format!(
        "{:.1?}",
        span.end_time.duration_since(span.start_time).unwrap_or_default()
    )
}

/// The RPC's status code where it is one, and a mark where the span's status is an error.
fn status(span: &SpanData) -> String {
    let attribute = |key| {
        let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| attribute.value.to_string())
    };
    let code = attribute("rpc.status_code");
    match (&span.status, code) {
        (Status::Error { .. }, code) => {
            let error_type = attribute("error.type");
            match (code, error_type) {
                (Some(code), Some(error)) if code != error => format!("✗ {code} ({error})"),
                (Some(said), _) | (None, Some(said)) => format!("✗ {said}"),
                (None, None) => "✗ error".to_owned(),
            }
        }
        (Status::Ok, None) => "ok".to_owned(),
        (Status::Ok | Status::Unset, code) => code.unwrap_or_default(),
    }
}

/// Widths, the same for all traces.
#[derive(Clone, Copy)]
struct Columns {
    /// Of the name and what stands before it.
    name: usize,
    status: usize,
}

impl Columns {
    fn fitting<'a>(lines: impl Iterator<Item = &'a Line<'a>>) -> Self {
        let mut columns = Columns { name: 0, status: 0 };
        for line in lines {
            if let Node::Span(span) = line.node {
                columns.name = columns.name.max(width(&line.branch) + width(&span.name));
                columns.status = columns.status.max(width(&status(span)));
            }
        }
        columns
    }
}

/// What `format!` pads by, too.
fn width(text: &str) -> usize {
    text.chars().count()
}

fn push_line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", line.trim_end());
}

/// Colours, where they are wanted.
#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn error(self, text: &str, failed: bool) -> String {
        if failed { self.with("31", text) } else { text.to_owned() }
    }

    fn bar(self, bar: &str, failed: bool) -> String {
        self.with(if failed { "31" } else { "36" }, bar)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
