//! Buffers spans until their trace is complete: spans end one by one, children before their
//! parents.

use std::collections::{BTreeMap, HashMap, HashSet};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;

use super::waterfall::{AncestorNames, Trace, draw};

/// The maximum number of buffered spans, and of drawn spans whose names are remembered.
const MAX_SPANS: usize = 4096;

/// The traces of a process: buffered spans, and the names of drawn ones.
#[derive(Default)]
pub(super) struct Traces {
    waiting: InsertionOrdered<Vec<SpanData>>,
    waiting_spans: usize,
    drawn: InsertionOrdered<Drawn>,
    drawn_spans: usize,
    count: usize,
}

/// A trace that was drawn, at least partly.
#[derive(Default)]
struct Drawn {
    number: usize,
    names: AncestorNames,
}

/// The spans of a trace that are drawn together.
struct Part {
    number: usize,
    continued: bool,
    spans: Vec<SpanData>,
    ancestors: AncestorNames,
}

impl Traces {
    /// Adds ended spans, and draws the traces that they complete.
    ///
    /// A span is complete once its ancestors have ended, up to one without a parent or with a
    /// remote parent. Spans that end after their parents are drawn immediately.
    pub(super) fn add(&mut self, spans: Vec<SpanData>, color: bool) -> String {
        let mut completed = HashSet::new();
        for span in spans {
            let id = span.span_context.trace_id();
            if self.is_complete(&span) {
                completed.insert(id);
            }
            self.waiting.entry(id).push(span);
            self.waiting_spans += 1;
        }
        let mut parts: Vec<_> = completed.into_iter().map(|id| (id, self.take_complete(id))).collect();
        // If too many spans wait, the oldest trace is drawn incomplete.
        while self.waiting_spans > MAX_SPANS {
            let Some((id, spans)) = self.waiting.take_oldest() else {
                break;
            };
            self.waiting_spans -= spans.len();
            parts.push((id, spans));
        }
        self.draw(parts, color)
    }

    /// Draws all buffered spans, complete or not.
    pub(super) fn drain(&mut self, color: bool) -> String {
        let mut parts = Vec::new();
        while let Some(part) = self.waiting.take_oldest() {
            parts.push(part);
        }
        self.waiting_spans = 0;
        self.draw(parts, color)
    }

    /// Returns whether the span has no parent in this process that is still to come.
    fn is_complete(&self, span: &SpanData) -> bool {
        span.parent_span_id == SpanId::INVALID
            || span.parent_span_is_remote
            || self
                .drawn
                .get(span.span_context.trace_id())
                .is_some_and(|drawn| drawn.names.contains_key(&span.parent_span_id))
    }

    /// Removes the complete spans of a trace and their descendants from the buffer.
    fn take_complete(&mut self, id: TraceId) -> Vec<SpanData> {
        let Some(spans) = self.waiting.take(id) else {
            return Vec::new();
        };
        let mut children: HashMap<SpanId, Vec<usize>> = HashMap::new();
        let mut complete = vec![false; spans.len()];
        let mut next = Vec::new();
        for (index, span) in spans.iter().enumerate() {
            if self.is_complete(span) {
                next.push(index);
            } else {
                children.entry(span.parent_span_id).or_default().push(index);
            }
        }
        while let Some(index) = next.pop() {
            complete[index] = true;
            next.extend(
                children
                    .remove(&spans[index].span_context.span_id())
                    .into_iter()
                    .flatten(),
            );
        }
        let mut complete = complete.into_iter();
        let (complete, waiting): (Vec<_>, Vec<_>) =
            spans.into_iter().partition(|_| complete.next().unwrap_or_default());
        self.waiting_spans -= complete.len();
        if !waiting.is_empty() {
            *self.waiting.entry(id) = waiting;
        }
        complete
    }

    fn draw(&mut self, mut parts: Vec<(TraceId, Vec<SpanData>)>, color: bool) -> String {
        parts.sort_by_key(|(_, spans)| spans.iter().map(|span| span.start_time).min());
        let parts: Vec<Part> = parts
            .into_iter()
            .map(|(id, spans)| self.number_trace(id, spans))
            .collect();
        while self.drawn_spans > MAX_SPANS {
            let Some((_, drawn)) = self.drawn.take_oldest() else {
                break;
            };
            self.drawn_spans -= drawn.names.len();
        }
        let traces: Vec<Trace<'_>> = parts.iter().map(Part::trace).collect();
        let mut text = draw(&traces, color);
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    /// Assigns the trace its number, and remembers the names of its spans.
    fn number_trace(&mut self, id: TraceId, spans: Vec<SpanData>) -> Part {
        let drawn = self.drawn.entry(id);
        let continued = drawn.number > 0;
        if !continued {
            self.count += 1;
            drawn.number = self.count;
        }
        let parents = spans.iter().map(|span| span.parent_span_id);
        let ancestors = parents
            .filter_map(|parent| Some((parent, drawn.names.get(&parent)?.clone())))
            .collect();
        for span in &spans {
            let before = drawn.names.insert(span.span_context.span_id(), span.name.clone());
            self.drawn_spans += usize::from(before.is_none());
        }
        Part {
            number: drawn.number,
            continued,
            spans,
            ancestors,
        }
    }
}

impl Part {
    fn trace(&self) -> Trace<'_> {
        let heading = format!("trace {}", self.number);
        let remark = if self.continued { "continued" } else { "" };
        Trace::new(heading, remark, self.spans.iter().collect(), &self.ancestors)
    }
}

/// A map by trace that can remove its oldest entry.
struct InsertionOrdered<V> {
    entries: HashMap<TraceId, (u64, V)>,
    by_age: BTreeMap<u64, TraceId>,
    next: u64,
}

impl<V> Default for InsertionOrdered<V> {
    fn default() -> Self {
        InsertionOrdered {
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<V: Default> InsertionOrdered<V> {
    fn entry(&mut self, id: TraceId) -> &mut V {
        let (_, value) = self.entries.entry(id).or_insert_with(|| {
            let age = self.next;
            self.next += 1;
            self.by_age.insert(age, id);
            (age, V::default())
        });
        value
    }

    fn get(&self, id: TraceId) -> Option<&V> {
        self.entries.get(&id).map(|(_, value)| value)
    }

    fn take(&mut self, id: TraceId) -> Option<V> {
        let (age, value) = self.entries.remove(&id)?;
        self.by_age.remove(&age);
        Some(value)
    }

    fn take_oldest(&mut self) -> Option<(TraceId, V)> {
        let id = *self.by_age.first_key_value()?.1;
        Some((id, self.take(id)?))
    }
}

#[cfg(test)]
mod tests;
