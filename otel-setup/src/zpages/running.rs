//! A span that runs now.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::size_of;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::observer::{Messages, RunningCall};

use crate::zpages::budget::Pool;
use crate::zpages::log_line::LogLine;
use crate::zpages::row::Row;
use crate::zpages::sample::Inside;
use crate::zpages::size;
use crate::zpages::start::Start;
use crate::zpages::table::Table;

/// The last spans and log lines inside of a running span that are kept.
const MAX_ENDED: usize = 32;
const MAX_LOGS: usize = 64;
/// The number of unused ones that a thread keeps for its next RPCs.
const MAX_POOLED: usize = 32;

thread_local! {
    static POOL: RefCell<Vec<Arc<Running>>> = const { RefCell::new(Vec::new()) };
}

/// The running spans, and the room for their details.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) table: Table<Entry>,
    pub(super) details: &'static Pool,
}

/// A running span in the table.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Detailed(Arc<Running>),
    /// A span whose details had no room.
    Counted(&'static Row),
}

impl Entry {
    pub(super) fn details(self) -> Option<Arc<Running>> {
        match self {
            Entry::Detailed(running) => Some(running),
            Entry::Counted(_) => None,
        }
    }
}

/// The details of a running span. Its room is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    places: &'static Places,
    pub(super) row: &'static Row,
    start: Start,
    /// The first span of this process above it, or `None` if it is the first.
    root: Option<Arc<Running>>,
    messages: Messages,
    /// The method of an RPC that has started without.
    method: OnceLock<&'static str>,
    /// Whether the span's end has been seen.
    is_ended: AtomicBool,
    contents: OnceLock<Box<Mutex<Contents>>>,
    bytes: usize,
}

/// Spans that ended inside of a first span, and log lines.
#[derive(Debug, Default)]
struct Contents {
    ended: VecDeque<SpanData>,
    logs: VecDeque<LogLine>,
    missing_spans: u64,
    missing_logs: u64,
    bytes: usize,
}

impl Running {
    /// Reserves the room of a span. If there is none, returns `None`.
    #[inline]
    pub(super) fn new(
        places: &'static Places,
        row: &'static Row,
        start: Start,
        root: Option<Arc<Running>>,
    ) -> Option<Arc<Self>> {
        let bytes = size_of::<Running>() + 16 + start.size();
        if !places.details.reserve(bytes) {
            return None;
        }
        let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        let mut running = pooled.unwrap_or_else(|| Running::unused(places, row));
        // Nobody else has an unused one.
        if let Some(running) = Arc::get_mut(&mut running) {
            running.row = row;
            running.start = start;
            running.root = root;
            running.messages = Messages::default();
            running.bytes = bytes;
        }
        Some(running)
    }

    #[cold]
    fn unused(places: &'static Places, row: &'static Row) -> Arc<Self> {
        Arc::new(Running {
            places,
            row,
            start: Start::Ended,
            root: None,
            messages: Messages::default(),
            method: OnceLock::new(),
            is_ended: AtomicBool::new(false),
            contents: OnceLock::new(),
            bytes: 0,
        })
    }

    /// Gives its room back.
    #[inline]
    fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if let Some(contents) = self.contents.take() {
            let contents = contents.into_inner().unwrap_or_else(PoisonError::into_inner);
            bytes += size_of::<Mutex<Contents>>() + contents.bytes;
        }
        self.places.details.release(bytes);
        self.start = Start::Ended;
        self.root = None;
        self.method = OnceLock::new();
        *self.is_ended.get_mut() = false;
    }

    pub(super) fn span_context(&self) -> &SpanContext {
        self.start.span_context()
    }

    pub(super) fn start_time(&self) -> SystemTime {
        self.start.time()
    }

    /// Returns the span as far as it is known, or `None` if it has ended.
    pub(super) fn span(&self) -> Option<SpanData> {
        self.start.span(self.method.get().copied())
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.start.peer()
    }

    /// Returns the first span of this process above it, or itself.
    pub(super) fn root_of(self: Arc<Self>) -> Arc<Self> {
        self.root.clone().unwrap_or(self)
    }

    /// Returns the first span of this process above it, unless it is the first.
    pub(super) fn root(&self) -> Option<&Running> {
        self.root.as_deref()
    }

    /// Records that the end of the span has been seen.
    #[inline]
    pub(super) fn set_ended(&self) {
        self.is_ended.store(true, Ordering::Relaxed);
    }

    /// Removes the span from the table, since its end will not be seen.
    #[cold]
    fn abandon(&self) {
        match self.places.table.remove(self.span_context().span_id()) {
            Some(Entry::Detailed(details)) => details.row.end(),
            Some(Entry::Counted(row)) => row.end(),
            None => {}
        }
    }

    fn contents(&self) -> Option<MutexGuard<'_, Contents>> {
        let contents = self.contents.get()?;
        Some(contents.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn contents_to_fill(&self) -> MutexGuard<'_, Contents> {
        let contents = self.contents.get_or_init(|| {
            // Too little to refuse it: a span with contents has more of them.
            self.places.details.add(size_of::<Mutex<Contents>>());
            Box::default()
        });
        contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a span that ended inside of this first one.
    #[cold]
    pub(super) fn add_ended(&self, span: &SpanData) {
        let pool = self.places.details;
        let span = size::copy(span);
        let bytes = size::span(&span);
        let mut contents = self.contents_to_fill();
        if contents.ended.len() >= MAX_ENDED
            && let Some(oldest) = contents.ended.pop_front()
        {
            contents.release(size::span(&oldest), pool);
            contents.missing_spans += 1;
        }
        if pool.reserve(bytes) {
            contents.bytes += bytes;
            contents.ended.push_back(span);
        } else {
            contents.missing_spans += 1;
        }
    }

    /// Adds a log line inside of this first span.
    pub(super) fn add_log(&self, line: LogLine) {
        let pool = self.places.details;
        let bytes = line.size();
        let mut contents = self.contents_to_fill();
        if contents.logs.len() >= MAX_LOGS
            && let Some(oldest) = contents.logs.pop_front()
        {
            contents.release(oldest.size(), pool);
            contents.missing_logs += 1;
        }
        if pool.reserve(bytes) {
            contents.bytes += bytes;
            contents.logs.push_back(line);
        } else {
            contents.missing_logs += 1;
        }
    }

    /// Returns copies of the spans that ended inside, and of the log lines.
    pub(super) fn inside(&self) -> (Vec<SpanData>, Inside) {
        let Some(contents) = self.contents() else {
            return Default::default();
        };
        let inside = Inside {
            logs: contents.logs.iter().cloned().collect(),
            missing_spans: contents.missing_spans,
            missing_logs: contents.missing_logs,
        };
        (contents.ended.iter().cloned().collect(), inside)
    }

    /// Returns copies of the log lines of one span.
    pub(super) fn logs_of(&self, id: SpanId) -> Vec<LogLine> {
        let contents = self.contents();
        let logs = contents.iter().flat_map(|contents| &contents.logs);
        logs.filter(|line| line.span_id == id).cloned().collect()
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.clear();
        }
    }
}

impl RunningCall for Running {
    #[inline]
    fn messages(&self) -> &Messages {
        &self.messages
    }

    fn set_method(&self, name: &'static str) {
        let _ = self.method.set(name);
    }

    #[inline]
    fn end(mut self: Arc<Self>) {
        if !self.is_ended.load(Ordering::Relaxed) {
            self.abandon();
        }
        // A page or a span inside may still have it.
        if let Some(running) = Arc::get_mut(&mut self) {
            running.clear();
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < MAX_POOLED {
                    pool.push(self);
                }
            });
        }
    }
}

impl Contents {
    fn release(&mut self, bytes: usize, pool: &Pool) {
        self.bytes -= bytes;
        pool.release(bytes);
    }
}
