//! The columns of a waterfall: the texts of a span, and their widths.

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use super::tree::{Line, Node};
use crate::text::escape_control;

/// The widths of the columns, equal for all traces.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    /// The width of the name with its branch.
    pub(super) name: usize,
    pub(super) status: usize,
}

impl Columns {
    /// Returns the widths that fit all lines.
    pub(super) fn fitting<'a>(lines: impl Iterator<Item = &'a Line<'a>>) -> Self {
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

/// Returns the width by which `format!` pads.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

pub(crate) fn kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "internal",
    }
}

pub(super) fn duration(span: &SpanData) -> String {
    format!(
        "{:.1?}",
        span.end_time.duration_since(span.start_time).unwrap_or_default()
    )
}

/// Returns the RPC's status code, or the status of a span that is no RPC, with a mark if it is an
/// error.
pub(crate) fn status(span: &SpanData) -> String {
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
                (Some(text), _) | (None, Some(text)) => format!("✗ {text}"),
                (None, None) => "✗ error".to_owned(),
            }
        }
        (Status::Ok, None) => "ok".to_owned(),
        (Status::Ok | Status::Unset, code) => code.unwrap_or_default(),
    }
}
