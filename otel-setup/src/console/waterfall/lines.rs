//! The lines of a waterfall, for outputs other than text.

use std::sync::LazyLock;
use std::time::SystemTime;

use opentelemetry_sdk::trace::SpanData;

use super::tree::{AncestorNames, Node};
use super::{Trace, by_trace};

/// A line, and when its span ran.
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
pub(crate) fn waterfall_lines(spans: &[SpanData]) -> Vec<WaterfallLine<'_>> {
    static NONE: LazyLock<AncestorNames> = LazyLock::new(AncestorNames::new);
    let traces = by_trace(spans)
        .into_iter()
        .map(|spans| Trace::new(String::new(), "", spans, &NONE));
    traces.flat_map(lines).collect()
}

fn lines(trace: Trace<'_>) -> Vec<WaterfallLine<'_>> {
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
