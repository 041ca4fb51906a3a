//! Everything that the pages know of spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::observer::{CallObserver, MethodObserver, RunningCall, StartedCall};

use crate::zpages::budget::Budget;
use crate::zpages::log_line::LogLine;
use crate::zpages::row::Row;
use crate::zpages::rows::Rows;
use crate::zpages::running::{Entry, Places, Running};
use crate::zpages::sample::{Inside, Sample};
use crate::zpages::start::Start;
use crate::zpages::table::Table;

/// Running spans, counts, and samples.
///
/// Spans write here when they start and end. Pages take copies: nothing waits while one is drawn.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) rows: Rows,
    running: Places,
    /// The running spans beyond the room of the table.
    uncounted: AtomicI64,
    pub(super) budget: &'static Budget,
}

impl Registry {
    /// Creates a registry for the rest of the process: its spans refer to it without a count of
    /// references, which all threads would share.
    pub(super) fn leak(limit: usize) -> &'static Self {
        let budget: &Budget = Box::leak(Box::new(Budget::new(limit)));
        Box::leak(Box::new(Registry {
            rows: Rows::new(),
            running: Places {
                table: Table::new(budget.entries),
                details: &budget.details,
            },
            uncounted: AtomicI64::new(0),
            budget,
        }))
    }

    /// Adds a span that starts, of which this is a copy.
    pub(super) fn start(&'static self, span: SpanData) {
        let id = span.span_context.span_id();
        let row = self.rows.of(&span, &self.budget.rows);
        let root = self.root(
            span.parent_span_id,
            span.parent_span_is_remote,
            span.span_context.trace_id(),
        );
        self.add(id, row, Running::new(&self.running, row, Start::of(span), root));
    }

    /// Adds a span that starts, and returns whether its details are kept.
    #[inline]
    fn add(&self, id: SpanId, row: &'static Row, details: Option<Arc<Running>>) -> bool {
        let is_detailed = details.is_some();
        let fits = self
            .running
            .table
            .insert(id, details.map_or(Entry::Counted(row), Entry::Detailed));
        if fits {
            row.start();
        } else {
            self.uncounted.fetch_add(1, Ordering::Relaxed);
        }
        fits && is_detailed
    }

    /// Returns the first span of this process above a new one.
    #[inline]
    fn root(&self, parent: SpanId, is_remote: bool, trace: TraceId) -> Option<Arc<Running>> {
        if parent == SpanId::INVALID || is_remote {
            return None;
        }
        let parent = self.running.table.get(parent)?.details()?;
        let is_same_trace = parent.span_context().trace_id() == trace;
        is_same_trace.then(|| parent.root_of())
    }

    pub(super) fn end(&self, span: &SpanData) {
        let entry = self.running.table.remove(span.span_context.span_id());
        let (row, details) = match entry {
            Some(Entry::Detailed(details)) => {
                details.set_ended();
                (Some(details.row), Some(details))
            }
            Some(Entry::Counted(row)) => (Some(row), None),
            None => {
                self.uncounted.fetch_sub(1, Ordering::Relaxed);
                (None, None)
            }
        };
        if let Some(row) = row {
            row.end();
        }
        // A method may become known after the start of its span.
        let row = match row {
            Some(row) if row.is_of(span) => row,
            _ => self.rows.of(span, &self.budget.rows),
        };
        if let Some(bucket) = row.count(span, &self.budget.rows) {
            let max = self.budget.samples.limit() / 8;
            let sample = sample(span, details.as_deref(), max);
            self.rows.keep(row, bucket, sample, &self.budget.samples);
        }
        if let Some(root) = details.as_deref().and_then(Running::root) {
            root.add_ended(span);
        }
    }

    /// Adds a log record to the span that it belongs to, if that one runs.
    pub(super) fn log(&self, record: &SdkLogRecord, scope: &InstrumentationScope) {
        let Some(context) = record.trace_context() else { return };
        let Some(running) = self.running.table.get(context.span_id).and_then(Entry::details) else {
            return;
        };
        let line = LogLine::new(record, scope, context.span_id);
        running.root_of().add_log(line);
    }

    /// Returns the running spans that have details, the oldest first.
    pub(super) fn running(&self) -> Vec<Arc<Running>> {
        let all = self.running.table.all().into_iter();
        let mut running: Vec<_> = all.filter_map(Entry::details).collect();
        running.sort_by_key(|running| running.start_time());
        running
    }

    /// Returns the number of running spans that no row counts.
    pub(super) fn uncounted(&self) -> u64 {
        u64::try_from(self.uncounted.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

impl CallObserver for Registry {
    fn method(&'static self, name: &str, kind: SpanKind) -> Box<dyn MethodObserver> {
        let row = self.rows.named(name, &kind, true, &self.budget.rows);
        Box::new(ObservedMethod { registry: self, row })
    }
}

/// The row of a method.
struct ObservedMethod {
    registry: &'static Registry,
    row: &'static Row,
}

impl MethodObserver for ObservedMethod {
    fn start(&self, call: StartedCall) -> Option<Arc<dyn RunningCall>> {
        let ObservedMethod { registry, row } = *self;
        let id = call.span_context.span_id();
        let root = registry.root(
            call.parent_span_id,
            call.parent_span_is_remote,
            call.span_context.trace_id(),
        );
        let running = Running::new(&registry.running, row, Start::Call(call), root);
        let is_kept = registry.add(id, row, running.clone());
        running
            .filter(|_| is_kept)
            .map(|running| running as Arc<dyn RunningCall>)
    }
}

/// Returns a sample of a span that ended, with the contents of its first span that belong to it.
#[cold]
fn sample(span: &SpanData, details: Option<&Running>, max: usize) -> Sample {
    let Some(details) = details else {
        return Sample::new(span, Vec::new(), Inside::default(), max);
    };
    let Some(root) = details.root() else {
        let (ended, inside) = details.inside();
        return Sample::new(span, ended, inside, max);
    };
    let inside = Inside {
        logs: root.logs_of(span.span_context.span_id()),
        ..Inside::default()
    };
    Sample::new(span, Vec::new(), inside, max)
}
