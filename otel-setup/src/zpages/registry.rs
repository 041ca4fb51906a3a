//! Everything that the pages know of spans.

use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry::{InstrumentationScope, Key};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::observer::{CallObserver, MethodObserver, StartedCall};

use crate::zpages::budget::Budget;
use crate::zpages::contents::Contents;
use crate::zpages::log_line::LogLine;
use crate::zpages::row::{Bucket, Row};
use crate::zpages::rows::{Origin, Rows};
use crate::zpages::running::{Ended, Running, RunningSpans};
use crate::zpages::sample::Sample;
use crate::zpages::size;
use crate::zpages::start::{Call, Start};

/// Running spans, counts, and samples.
///
/// Spans write here when they start and end. Pages take copies: nothing waits while one is drawn.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(super) rows: Rows,
    running: RunningSpans,
    /// The running spans beyond the room of the table.
    uncounted: AtomicI64,
    /// A clock of whole seconds, for the samples.
    seconds: AtomicU64,
    pub(super) budget: &'static Budget,
    pub(super) started: SystemTime,
    service: OnceLock<String>,
}

impl Registry {
    /// Creates a registry for the rest of the process: its spans refer to it without a count of
    /// references, which all threads would share.
    pub(super) fn leak(limit: usize) -> &'static Self {
        let budget: &Budget = Box::leak(Box::new(Budget::new(limit)));
        Box::leak(Box::new(Registry {
            rows: Rows::new(),
            running: RunningSpans::new(budget),
            uncounted: AtomicI64::new(0),
            seconds: AtomicU64::new(0),
            budget,
            started: SystemTime::now(),
            service: OnceLock::new(),
        }))
    }

    /// Takes the name of the service, unless it is that of a service without one.
    pub(super) fn set_resource(&self, resource: &Resource) {
        let name = resource.get(&Key::from_static_str("service.name"));
        let name = name.map(|name| name.as_str().into_owned());
        if let Some(name) = name.filter(|name| !name.starts_with("unknown_service")) {
            let _ = self.service.set(name);
        }
    }

    pub(super) fn service(&self) -> Option<&str> {
        self.service.get().map(String::as_str)
    }

    /// Adds a span that starts, of which this is a copy.
    pub(super) fn start(&'static self, span: SpanData) {
        let (id, trace) = (span.span_context.span_id(), span.span_context.trace_id());
        let row = self.rows.for_span(&span, &self.budget.rows);
        let first = self.first_above(span.parent_span_id, span.parent_span_is_remote, trace);
        let (start, bytes) = Start::from_span(span);
        let is_added = self.running.start(id, row, first, bytes, || start);
        self.count(row, is_added);
    }

    /// Adds an RPC that starts.
    #[inline]
    fn start_call(&self, row: &'static Row, name: Cow<'static, str>, kind: SpanKind, mut call: StartedCall<'_>) {
        let (span_context, parent) = (call.span_context, call.parent);
        let first = self.first_above(parent.span_id(), parent.is_remote(), span_context.trace_id());
        let bytes = size::name(&name) + size::trace_state(span_context);
        let start = || Start::Call(Call::new(name, kind, &mut call));
        let is_added = self.running.start(span_context.span_id(), row, first, bytes, start);
        self.count(row, is_added);
    }

    /// Counts a span that starts.
    #[inline]
    fn count(&self, row: &'static Row, is_added: bool) {
        if is_added {
            row.start();
        } else {
            self.uncounted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the contents of the first span of this process above a new one.
    #[inline]
    fn first_above(&self, parent: SpanId, is_remote: bool, trace: TraceId) -> Option<Arc<Contents>> {
        if parent == SpanId::INVALID || is_remote {
            return None;
        }
        self.running.contents_above(parent, trace)
    }

    pub(super) fn end(&self, span: &SpanData) {
        let ended = self.running.end(span.span_context.span_id());
        if let Some(ended) = &ended {
            ended.row.end();
        } else {
            self.uncounted.fetch_sub(1, Ordering::Relaxed);
        }
        // A method may become known after the start of its span.
        let row = match &ended {
            Some(ended) if ended.row.matches_span(span) => ended.row,
            _ => self.rows.for_span(span, &self.budget.rows),
        };
        let second = self.seconds.load(Ordering::Relaxed);
        if let Some(bucket) = row.count(span, second, &self.budget.rows) {
            self.keep(row, bucket, span, ended.as_ref());
        }
        if let Some(first) = ended.and_then(|ended| ended.first) {
            first.add_ended(span);
        }
    }

    /// Keeps a sample of a span that ended.
    #[cold]
    fn keep(&self, row: &'static Row, bucket: Bucket, span: &SpanData, ended: Option<&Ended>) {
        let id = span.span_context.span_id();
        let (spans, inside) = ended.map(|ended| ended.inside(id)).unwrap_or_default();
        let sample = Sample::new(span, spans, inside, self.budget.samples.limit() / 8);
        let second = self.seconds.load(Ordering::Relaxed);
        self.rows.keep(row, bucket, sample, second, &self.budget.samples);
    }

    /// Adds a log record to the span that it belongs to, if that one runs.
    pub(super) fn log(&self, record: &SdkLogRecord, scope: &InstrumentationScope) {
        let Some(context) = record.trace_context() else { return };
        if let Some(contents) = self.running.contents(context.span_id) {
            contents.add_log(LogLine::new(record, scope, context.span_id));
        }
    }

    /// Lets another second pass, after which buckets that are full get new samples.
    pub(super) fn tick(&self) {
        self.seconds.fetch_add(1, Ordering::Relaxed);
        self.running.share_contents();
    }

    /// Returns the running spans that have details, the oldest first.
    pub(super) fn running(&self) -> Vec<Running> {
        let mut running = self.running.all();
        running.sort_by_key(Running::start_time);
        running
    }

    /// Returns the number of running spans that no row counts.
    pub(super) fn uncounted(&self) -> u64 {
        u64::try_from(self.uncounted.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

impl CallObserver for Registry {
    fn method(&'static self, name: &'static str, kind: SpanKind) -> Box<dyn MethodObserver> {
        let row = self
            .rows
            .for_name(&name.into(), &kind, Origin::Method, &self.budget.rows);
        let registry = self;
        Box::new(Method {
            registry,
            row,
            name,
            kind,
        })
    }

    fn start(&self, name: &str, kind: SpanKind, call: StartedCall<'_>) {
        let name = name.to_owned().into();
        let row = self.rows.for_name(&name, &kind, Origin::Path, &self.budget.rows);
        self.start_call(row, name, kind, call);
    }

    fn set_method(&self, span: SpanId, name: &'static str) {
        self.running.set_method(span, name);
    }

    fn discard(&self, span: SpanId) {
        match self.running.end(span) {
            Some(ended) => ended.row.end(),
            None => _ = self.uncounted.fetch_sub(1, Ordering::Relaxed),
        }
    }
}

/// A method, whose RPCs share a row.
struct Method {
    registry: &'static Registry,
    row: &'static Row,
    name: &'static str,
    kind: SpanKind,
}

impl MethodObserver for Method {
    fn start(&self, call: StartedCall<'_>) {
        self.registry
            .start_call(self.row, self.name.into(), self.kind.clone(), call);
    }
}
