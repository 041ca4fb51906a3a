//! The spans that run now.

use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;

use crate::zpages::budget::{Budget, Pool};
use crate::zpages::contents::{self, Contents};
use crate::zpages::row::Row;
use crate::zpages::sample::Inside;
use crate::zpages::start::Start;
use crate::zpages::table::{Table, capacity, key, table_index};

/// The number of shards. A page holds the lock of one of them for a moment, to copy its details.
const SHARDS: usize = 32;
/// The bytes of a span's details on the heap.
const DETAILS: usize = size_of::<Running>() + 16;
/// The spans of a row that may have the last quarter of the room for details: a page shows as many.
const FEW: i64 = 20;

/// The running spans, found by their ids.
///
/// A span takes one lock when it starts, and one when it ends. Its details are in a box that the
/// next span of the shard uses again.
#[derive(Debug)]
pub(super) struct RunningSpans {
    shards: [Mutex<Shard>; SHARDS],
    /// The number of spans that a shard may have.
    capacity: usize,
    /// The number of unused boxes that a shard keeps.
    max_unused: usize,
    details: &'static Pool,
    contents: &'static Pool,
}

#[derive(Debug, Default)]
struct Shard {
    spans: Table<Entry>,
    // Boxes, since they move between here and the table.
    #[expect(clippy::vec_box, reason = "their allocation is used again")]
    unused: Vec<Box<Running>>,
}

/// A running span.
#[derive(Debug)]
enum Entry {
    Detailed(Box<Running>),
    /// A span whose details had no room.
    Counted(&'static Row),
}

/// The details of a running span.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) row: &'static Row,
    start: Start,
    /// The bytes of the start that are on the heap.
    start_bytes: usize,
    /// The contents of the first span of this process above it, or `None` if it is the first.
    first: Option<Arc<Contents>>,
    /// The contents of the span itself, if it is the first and has any.
    contents: Option<Arc<Contents>>,
}

/// A span that has ended.
pub(super) struct Ended {
    pub(super) row: &'static Row,
    /// The contents of the first span of this process above it, or `None` if it was the first.
    pub(super) first: Option<Arc<Contents>>,
    contents: Option<Arc<Contents>>,
}

impl RunningSpans {
    pub(super) fn new(budget: &'static Budget) -> Self {
        RunningSpans {
            shards: std::array::from_fn(|_| Mutex::default()),
            capacity: capacity::<Entry>(budget.entries / SHARDS),
            max_unused: budget.details.limit() / 4 / SHARDS / DETAILS,
            details: &budget.details,
            contents: &budget.contents,
        }
    }

    #[inline]
    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[table_index(key, SHARDS)];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a span that starts, or returns `false` if there is no room.
    ///
    /// `start` has `start_bytes` on the heap. A closure, since it is made in its place.
    #[inline]
    pub(super) fn start(
        &self,
        id: SpanId,
        row: &'static Row,
        first: Option<Arc<Contents>>,
        start_bytes: usize,
        start: impl FnOnce() -> Start,
    ) -> bool {
        let key = key(id);
        let mut shard = self.shard(key);
        if shard.spans.len() >= self.capacity {
            return false;
        }
        let entry = match self.take_box(&mut shard, row, start_bytes) {
            Some(mut running) => {
                running.row = row;
                // There is no start to be dropped, which would be checked.
                std::mem::forget(std::mem::replace(&mut running.start, start()));
                running.start_bytes = start_bytes;
                running.first = first;
                Entry::Detailed(running)
            }
            None => Entry::Counted(row),
        };
        shard.spans.insert(key, entry);
        true
    }

    /// Returns a box for the details of a span, if there is room for them.
    #[inline]
    fn take_box(&self, shard: &mut Shard, row: &'static Row, start_bytes: usize) -> Option<Box<Running>> {
        if self.details.is_beyond(3) && row.running() >= FEW {
            return None;
        }
        if start_bytes > 0 && !self.details.reserve(start_bytes) {
            return None;
        }
        shard.unused.pop().or_else(|| self.new_box(row, start_bytes))
    }

    #[cold]
    fn new_box(&self, row: &'static Row, start_bytes: usize) -> Option<Box<Running>> {
        if self.details.reserve(DETAILS) {
            return Some(Box::new(Running::unused(row)));
        }
        self.details.release(start_bytes);
        None
    }

    /// Removes a span that ends. `None` if it had no room when it started.
    // Always inlined, although it has a second caller, which is cold: saves 30 instructions.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn end(&self, id: SpanId) -> Option<Ended> {
        let key = key(id);
        let mut shard = self.shard(key);
        let mut running = match shard.spans.remove(key)? {
            Entry::Detailed(running) => running,
            Entry::Counted(row) => {
                return Some(Ended {
                    row,
                    first: None,
                    contents: None,
                });
            }
        };
        let ended = Ended {
            row: running.row,
            first: running.first.take(),
            contents: running.contents.take(),
        };
        running.start = Start::Ended;
        if running.start_bytes > 0 {
            self.details.release(running.start_bytes);
        }
        if shard.unused.len() < self.max_unused {
            shard.unused.push(running);
        } else {
            self.details.release(DETAILS);
        }
        Some(ended)
    }

    /// Calls `with` with the details of a span, if it runs and has them.
    fn with<T>(&self, id: SpanId, with: impl FnOnce(&mut Running) -> T) -> Option<T> {
        let key = key(id);
        match self.shard(key).spans.get_mut(key)? {
            Entry::Detailed(running) => Some(with(running)),
            Entry::Counted(_) => None,
        }
    }

    /// Returns the contents of the first span above a child of `parent`, if that is of this trace.
    pub(super) fn contents_above(&self, parent: SpanId, trace: TraceId) -> Option<Arc<Contents>> {
        let contents = self.with(parent, |parent| {
            let is_same_trace = parent.trace_id() == trace;
            is_same_trace.then(|| parent.first_contents(self.contents))
        });
        contents.flatten()
    }

    /// Returns the contents of the first span above a span, or its own if it is the first.
    pub(super) fn contents(&self, id: SpanId) -> Option<Arc<Contents>> {
        self.with(id, |running| running.first_contents(self.contents))
    }

    /// Names the method of an RPC that has started without.
    pub(super) fn set_method(&self, id: SpanId, name: &'static str) {
        self.with(id, |running| running.start.set_method(name));
    }

    /// Gives each span the same part of the room for contents, if that becomes scarce.
    pub(super) fn share_contents(&self) {
        if self.contents.is_beyond(2) {
            let mut all = Vec::new();
            for shard in &self.shards {
                let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                all.extend(shard.spans.iter().filter_map(|entry| match entry {
                    Entry::Detailed(running) => running.contents.as_ref().or(running.first.as_ref()).cloned(),
                    Entry::Counted(_) => None,
                }));
            }
            contents::share(all, self.contents);
        }
    }

    /// Returns copies of the details of all spans.
    pub(super) fn all(&self) -> Vec<Running> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.spans.iter().filter_map(|entry| match entry {
                Entry::Detailed(running) => Some(Running::clone(running)),
                Entry::Counted(_) => None,
            }));
        }
        all
    }
}

impl Running {
    /// Returns details that no span has.
    fn unused(row: &'static Row) -> Self {
        Running {
            row,
            start: Start::Ended,
            start_bytes: 0,
            first: None,
            contents: None,
        }
    }

    pub(super) fn trace_id(&self) -> TraceId {
        self.start.trace_id()
    }

    pub(super) fn start_time(&self) -> SystemTime {
        self.start.time()
    }

    /// Returns the span as far as it is known, or `None` if it has ended.
    pub(super) fn span(&self) -> Option<SpanData> {
        self.start.span()
    }

    pub(super) fn start(&self) -> &Start {
        &self.start
    }

    /// Returns the contents of the first span above, or its own if it is the first.
    fn first_contents(&mut self, pool: &'static Pool) -> Arc<Contents> {
        let own = &mut self.contents;
        let first = self.first.as_ref();
        let first = first.unwrap_or_else(|| own.get_or_insert_with(|| Arc::new(Contents::new(pool))));
        Arc::clone(first)
    }

    /// Returns copies of the spans that ended inside, and of the log lines.
    pub(super) fn inside(&self) -> (Vec<SpanData>, Inside) {
        inside(self.start.span_id(), self.first.as_deref(), self.contents.as_deref())
    }
}

impl Ended {
    /// Returns copies of the spans that ended inside, and of the log lines.
    pub(super) fn inside(&self, id: SpanId) -> (Vec<SpanData>, Inside) {
        inside(id, self.first.as_deref(), self.contents.as_deref())
    }
}

/// Returns the contents of a span: its own, or the part of those of the `first` one above it.
fn inside(id: SpanId, first: Option<&Contents>, own: Option<&Contents>) -> (Vec<SpanData>, Inside) {
    match first {
        Some(first) => (Vec::new(), first.logs_of(id)),
        None => own.map(Contents::all).unwrap_or_default(),
    }
}
