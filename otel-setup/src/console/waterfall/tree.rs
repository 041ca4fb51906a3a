//! The lines of a waterfall: spans below their parents, with the branches that connect them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

use crate::text::escape_control;

/// The names of spans that were drawn earlier and have children to draw.
pub(in crate::console) type AncestorNames = HashMap<SpanId, Cow<'static, str>>;

/// A line, and the branches of the lines of text below it.
pub(super) struct Line<'a> {
    /// The branch in front of the name: `│  ├─ `.
    pub(super) branch: String,
    /// The branch of the lines below: `│  │  `.
    pub(super) trunk: String,
    pub(super) node: Node<'a>,
}

pub(super) enum Node<'a> {
    Span(&'a SpanData),
    /// A parent that is not among the spans.
    MissingParent {
        id: SpanId,
        is_remote: bool,
    },
    /// A parent that was drawn earlier.
    Ancestor {
        id: SpanId,
        name: &'a str,
    },
}

impl Node<'_> {
    fn id(&self) -> SpanId {
        match self {
            Node::Span(span) => span.span_context.span_id(),
            Node::MissingParent { id, .. } | Node::Ancestor { id, .. } => *id,
        }
    }

    pub(super) fn name(&self) -> Cow<'_, str> {
        match self {
            Node::Span(span) => escape_control(&span.name),
            Node::MissingParent { id, is_remote: true } => format!("(remote parent {id})").into(),
            Node::MissingParent { id, is_remote: false } => format!("(missing parent {id})").into(),
            Node::Ancestor { name, .. } => format!("({}, above)", escape_control(name)).into(),
        }
    }
}

/// Spans by the id of their parent, in the order of their start.
type Children<'a> = HashMap<SpanId, Vec<&'a SpanData>>;

/// Returns the lines of a trace. The spans must be sorted by their start.
pub(super) fn lines<'a>(spans: &[&'a SpanData], ancestors: &'a AncestorNames) -> Vec<Line<'a>> {
    let mut children = Children::new();
    for span in spans {
        if span.parent_span_id != SpanId::INVALID {
            children.entry(span.parent_span_id).or_default().push(span);
        }
    }
    let mut lines = Vec::with_capacity(spans.len());
    for root in roots(spans, ancestors) {
        add_lines(&mut lines, root, &mut children);
    }
    // Spans in a cycle of parents have no root. The parent of the first becomes one.
    for span in spans {
        let id = span.parent_span_id;
        if children.contains_key(&id) {
            let root = Node::MissingParent { id, is_remote: false };
            add_lines(&mut lines, root, &mut children);
        }
    }
    lines
}

/// Returns the roots, sorted by their start or that of their first child.
fn roots<'a>(spans: &[&'a SpanData], ancestors: &'a AncestorNames) -> Vec<Node<'a>> {
    let present: HashSet<SpanId> = spans.iter().map(|span| span.span_context.span_id()).collect();
    let mut parents = HashSet::new();
    spans
        .iter()
        .filter_map(|span| match span.parent_span_id {
            SpanId::INVALID => Some(Node::Span(span)),
            id if !present.contains(&id) && parents.insert(id) => Some(match ancestors.get(&id) {
                Some(name) => Node::Ancestor { id, name },
                None => Node::MissingParent {
                    id,
                    is_remote: span.parent_span_is_remote,
                },
            }),
            _ => None,
        })
        .collect()
}

/// Adds the lines of a root and its descendants, each span once.
///
/// Iterative, since a trace can be deeper than the stack.
fn add_lines<'a>(lines: &mut Vec<Line<'a>>, root: Node<'a>, children: &mut Children<'a>) {
    let mut next = vec![(root, String::new(), String::new())];
    while let Some((node, branch, trunk)) = next.pop() {
        let spans = children.remove(&node.id()).unwrap_or_default();
        for (index, span) in spans.iter().enumerate().rev() {
            let (branch, below) = if index + 1 < spans.len() {
                ("├─ ", "│  ")
            } else {
                ("└─ ", "   ")
            };
            next.push((Node::Span(span), format!("{trunk}{branch}"), format!("{trunk}{below}")));
        }
        lines.push(Line {
            branch,
            trunk: trunk + if spans.is_empty() { "   " } else { "│  " },
            node,
        });
    }
}
