//! Traces as text: one line for each span, indented below its parent, with a bar that shows when it ran.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry_sdk::trace::SpanData;

use crate::text::{Paint, escape_control};

/// How many cells wide a bar is that takes the whole of its trace's time.
const BAR_WIDTH: u32 = 30;

/// A nanosecond for each cell of a bar, so that a trace that took no time can be drawn like any other.
const SHORTEST: Duration = Duration::from_nanos(BAR_WIDTH as u64);

/// Draws every trace that `spans` belong to, the one that started first at the top.
///
/// Each span is one line: its name, indented below its parent's, kind, duration, RPC status code, and a bar that shows when it ran. The description of an error stands below.
/// A parent that is not among `spans` is named by its id. With `colour` the text has the escape sequences that terminals understand; those in `spans` are never passed on.
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
/// Never, whatever the spans say of their times and parents.
#[must_use]
pub fn waterfall(spans: &[SpanData], color: bool) -> String {
    let above = HashMap::new();
    let traces: Vec<Trace<'_>> = traces(spans)
        .into_iter()
        .enumerate()
        .map(|(index, spans)| Trace::new(format!("trace {}", index + 1), "", spans, &above))
        .collect();
    draw(&traces, color)
}

/// Draws the traces in this order, with an empty line between two.
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

/// The spans of each trace, the one that started first at the start.
fn traces(spans: &[SpanData]) -> Vec<Vec<&SpanData>> {
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

/// The names of spans that were drawn before, and are parents of some that were not.
pub(super) type AncestorNames = HashMap<SpanId, Cow<'static, str>>;

/// One trace, or what has come of it, its spans in the order of their lines.
pub(super) struct Trace<'a> {
    heading: String,
    id: TraceId,
    /// What stands behind the id.
    remark: &'static str,
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
    /// One that was drawn before.
    AncestorNames {
        id: SpanId,
        name: &'a str,
    },
}

impl Node<'_> {
    fn id(&self) -> SpanId {
        match self {
            Node::Span(span) => span.span_context.span_id(),
            Node::Elsewhere { id, .. } | Node::AncestorNames { id, .. } => *id,
        }
    }

    fn name(&self) -> Cow<'_, str> {
        match self {
            Node::Span(span) => escape_control(&span.name),
            Node::Elsewhere { id, remote: true } => format!("(remote parent {id})").into(),
            Node::Elsewhere { id, remote: false } => format!("(missing parent {id})").into(),
            Node::AncestorNames { name, .. } => format!("({}, above)", escape_control(name)).into(),
        }
    }
}

impl<'a> Trace<'a> {
    /// `spans` are those of one trace, at least one.
    pub(super) fn new(
        heading: String,
        remark: &'static str,
        mut spans: Vec<&'a SpanData>,
        above: &'a AncestorNames,
    ) -> Self {
        spans.sort_by_key(|span| span.start_time);
        let start = spans.first().map_or(SystemTime::UNIX_EPOCH, |span| span.start_time);
        let end = spans.iter().map(|span| span.end_time).max().unwrap_or(start);
        let mut trace = Trace {
            heading,
            id: spans
                .first()
                .map_or(TraceId::INVALID, |span| span.span_context.trace_id()),
            remark,
            start,
            duration: end.duration_since(start).unwrap_or_default().max(SHORTEST),
            lines: Vec::with_capacity(spans.len()),
        };
        let mut below: HashMap<SpanId, Vec<&'a SpanData>> = HashMap::new();
        for span in &spans {
            if span.parent_span_id != SpanId::INVALID {
                below.entry(span.parent_span_id).or_default().push(span);
            }
        }
        for root in roots(&spans, above) {
            trace.add(root, &mut below);
        }
        // Spans that are above themselves hang from no root. They are drawn below the id of one of them.
        for span in &spans {
            let id = span.parent_span_id;
            if below.contains_key(&id) {
                trace.add(Node::Elsewhere { id, remote: false }, &mut below);
            }
        }
        trace
    }

    /// Adds the lines of a node and of everything below it, each span once. Not by recursion: a trace can be deeper than the stack.
    fn add(&mut self, root: Node<'a>, below: &mut HashMap<SpanId, Vec<&'a SpanData>>) {
        let mut next = vec![(root, String::new(), String::new())];
        while let Some((node, branch, trunk)) = next.pop() {
            let children = below.remove(&node.id()).unwrap_or_default();
            for (index, child) in children.iter().enumerate().rev() {
                let (branch, below) = if index + 1 < children.len() {
                    ("├─ ", "│  ")
                } else {
                    ("└─ ", "   ")
                };
                next.push((Node::Span(child), format!("{trunk}{branch}"), format!("{trunk}{below}")));
            }
            self.lines.push(Line {
                branch,
                trunk: trunk + if children.is_empty() { "   " } else { "│  " },
                node,
            });
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
                kind = kind(span),
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

    /// When the span ran, as part of the trace's time. One that took no time is a thin mark.
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

/// The nodes without a parent, in the order in which they, or the first of their children, started.
fn roots<'a>(spans: &[&'a SpanData], above: &'a AncestorNames) -> Vec<Node<'a>> {
    let present: HashSet<SpanId> = spans.iter().map(|span| span.span_context.span_id()).collect();
    let mut elsewhere = HashSet::new();
    spans
        .iter()
        .filter_map(|span| match span.parent_span_id {
            SpanId::INVALID => Some(Node::Span(span)),
            id if !present.contains(&id) && elsewhere.insert(id) => Some(match above.get(&id) {
                Some(name) => Node::AncestorNames { id, name },
                None => Node::Elsewhere {
                    id,
                    remote: span.parent_span_is_remote,
                },
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
        found.map(|attribute| escape_control(&attribute.value.as_str()).into_owned())
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
                columns.name = columns.name.max(width(&line.branch) + width(&line.node.name()));
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

#[cfg(test)]
mod tests;
