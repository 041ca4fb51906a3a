//! Everything that the pages know of spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;

use crate::zpages::budget::Budget;
use crate::zpages::log_line::LogLine;
use crate::zpages::row::Row;
use crate::zpages::rows::Rows;
use crate::zpages::running::{Entry, Running, Table};
use crate::zpages::sample::{Inside, Sample};

/// Running spans, counts, and samples.
///
/// Spans write here when they start and end. Pages take copies: nothing waits while one is drawn.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) rows: Rows,
    running: Table,
    /// The running spans beyond the room of the table.
    uncounted: AtomicI64,
    pub(super) budget: Budget,
}

impl Registry {
    pub(super) fn new(limit: usize) -> Self {
        let budget = Budget::new(limit);
        Registry {
            rows: Rows::new(),
            running: Table::new(budget.entries),
            uncounted: AtomicI64::new(0),
            budget,
        }
    }

    pub(super) fn start(&self, span: SpanData) {
        let id = span.span_context.span_id();
        let row = self.rows.of(&span, &self.budget.rows);
        let root = self.root(&span);
        let details = Running::new(span, root, &self.budget.details);
        row.start();
        let entry = Entry {
            row: Arc::clone(&row),
            details: details.clone(),
        };
        if !self.running.insert(id, entry) {
            row.end();
            self.uncounted.fetch_add(1, Ordering::Relaxed);
            if let Some(details) = details {
                details.release(&self.budget.details);
            }
        }
    }

    /// Returns the first span of this process above a new one.
    #[inline]
    fn root(&self, span: &SpanData) -> Option<Arc<Running>> {
        if span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote {
            return None;
        }
        let parent = self.running.details(span.parent_span_id)?;
        let is_same_trace = parent.span.span_context.trace_id() == span.span_context.trace_id();
        is_same_trace.then(|| parent.root.clone().unwrap_or(parent))
    }

    pub(super) fn end(&self, span: &SpanData) {
        let entry = self.running.remove(span.span_context.span_id());
        let (row, details) = if let Some(entry) = entry {
            entry.row.end();
            // A method may become known after the start of its span.
            let row = if entry.row.is_of(span) {
                entry.row
            } else {
                self.rows.of(span, &self.budget.rows)
            };
            (row, entry.details)
        } else {
            self.uncounted.fetch_sub(1, Ordering::Relaxed);
            (self.rows.of(span, &self.budget.rows), None)
        };
        if let Some(bucket) = row.count(span, &self.budget.rows) {
            let max = self.budget.samples.limit() / 8;
            let sample = sample(span, details.as_deref(), max);
            self.rows.keep(&row, bucket, sample, &self.budget.samples);
        }
        if let Some(details) = details {
            if let Some(root) = &details.root {
                root.add_ended(span, &self.budget.details);
            }
            details.release(&self.budget.details);
        }
    }

    /// Adds a log record to the span that it belongs to, if that one runs.
    pub(super) fn log(&self, record: &SdkLogRecord, scope: &InstrumentationScope) {
        let Some(context) = record.trace_context() else { return };
        let Some(running) = self.running.details(context.span_id) else {
            return;
        };
        let line = LogLine::new(record, scope, context.span_id);
        let root = running.root.as_ref().unwrap_or(&running);
        root.add_log(line, &self.budget.details);
    }

    /// Returns the running spans that have details, the oldest first.
    pub(super) fn running(&self) -> Vec<(Arc<Row>, Arc<Running>)> {
        let mut running = self.running.all();
        running.sort_by_key(|(_, running)| running.span.start_time);
        running
    }

    /// Returns the number of running spans that no row counts.
    pub(super) fn uncounted(&self) -> u64 {
        u64::try_from(self.uncounted.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

/// Returns a sample of a span that ended, with the contents of its first span that belong to it.
#[cold]
fn sample(span: &SpanData, details: Option<&Running>, max: usize) -> Sample {
    let Some(details) = details else {
        return Sample::new(span, Vec::new(), Inside::default(), max);
    };
    let Some(root) = &details.root else {
        let (ended, inside) = details.inside();
        return Sample::new(span, ended, inside, max);
    };
    let inside = Inside {
        logs: root.logs_of(span.span_context.span_id()),
        ..Inside::default()
    };
    Sample::new(span, Vec::new(), inside, max)
}
