//! The spans that run now.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

use crate::zpages::budget::Pool;
use crate::zpages::log_line::LogLine;
use crate::zpages::row::Row;
use crate::zpages::sample::Inside;
use crate::zpages::size;

/// The number of tables. A page holds the lock of one of them for a moment, to copy pointers.
const SHARDS: usize = 32;
/// The last spans and log lines inside of a running span that are kept.
const MAX_ENDED: usize = 32;
const MAX_LOGS: usize = 64;
/// A slot of a table, with its byte of control.
const SLOT_BYTES: usize = size_of::<(u64, Entry)>() + 1;

/// The entries of running spans by span id.
#[derive(Debug)]
pub(super) struct Table {
    shards: [Mutex<Shard>; SHARDS],
    /// The number of entries that a shard may have.
    capacity: usize,
}

type Shard = HashMap<u64, Entry, BuildHasherDefault<IdHasher>>;

/// A running span.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) row: Arc<Row>,
    /// `None` if there was no room.
    pub(super) details: Option<Arc<Running>>,
}

/// The details of a running span.
#[derive(Debug)]
pub(super) struct Running {
    /// The span as it was when it started.
    pub(super) span: SpanData,
    /// The first span of this process above it, or `None` if it is the first.
    pub(super) root: Option<Arc<Running>>,
    contents: Mutex<Contents>,
    pub(super) bytes: usize,
}

/// Spans that ended inside of a first span, and log lines.
#[derive(Debug, Default)]
struct Contents {
    ended: VecDeque<SpanData>,
    logs: VecDeque<LogLine>,
    missing_spans: u64,
    missing_logs: u64,
    bytes: usize,
    /// Whether the span has ended. A span inside may end later.
    is_closed: bool,
}

impl Table {
    pub(super) fn new(bytes: usize) -> Self {
        Table {
            shards: Default::default(),
            capacity: capacity(bytes / SHARDS),
        }
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, Shard> {
        let index = (mix(id) >> 32) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a span that starts, or returns `false` if there is no room.
    #[inline]
    pub(super) fn insert(&self, id: SpanId, entry: Entry) -> bool {
        let id = number(id);
        let mut shard = self.shard(id);
        let fits = shard.len() < self.capacity;
        if fits {
            shard.insert(id, entry);
        }
        fits
    }

    #[inline]
    pub(super) fn remove(&self, id: SpanId) -> Option<Entry> {
        let id = number(id);
        self.shard(id).remove(&id)
    }

    /// Returns the details of a running span, if it has some.
    pub(super) fn details(&self, id: SpanId) -> Option<Arc<Running>> {
        let id = number(id);
        self.shard(id).get(&id)?.details.clone()
    }

    /// Returns all running spans with details.
    pub(super) fn all(&self) -> Vec<(Arc<Row>, Arc<Running>)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let detailed = shard
                .values()
                .filter_map(|entry| Some((Arc::clone(&entry.row), entry.details.clone()?)));
            all.extend(detailed);
        }
        all
    }
}

impl Running {
    /// Reserves the room of a span. If there is none, returns `None`.
    pub(super) fn new(span: SpanData, root: Option<Arc<Running>>, pool: &Pool) -> Option<Arc<Self>> {
        let mut bytes = size::span(&span);
        let mut span = span;
        if bytes > size::MAX_SPAN {
            span = size::copy(&span);
            bytes = size::span(&span);
        }
        bytes += size_of::<Running>() - size_of::<SpanData>() + 16;
        pool.reserve(bytes).then(|| {
            Arc::new(Running {
                span,
                root,
                contents: Mutex::default(),
                bytes,
            })
        })
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a span that ended inside of this first one.
    #[cold]
    pub(super) fn add_ended(&self, span: &SpanData, pool: &Pool) {
        let span = size::copy(span);
        let bytes = size::span(&span);
        let mut contents = self.contents();
        if contents.is_closed {
            return;
        }
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
    pub(super) fn add_log(&self, line: LogLine, pool: &Pool) {
        let bytes = line.size();
        let mut contents = self.contents();
        if contents.is_closed {
            return;
        }
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
        let contents = self.contents();
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
        contents
            .logs
            .iter()
            .filter(|line| line.span_id == id)
            .cloned()
            .collect()
    }

    /// Gives back the room, when the span has ended.
    pub(super) fn release(&self, pool: &Pool) {
        let mut contents = self.contents();
        pool.release(self.bytes + contents.bytes);
        *contents = Contents {
            is_closed: true,
            ..Contents::default()
        };
    }
}

impl Contents {
    fn release(&mut self, bytes: usize, pool: &Pool) {
        self.bytes -= bytes;
        pool.release(bytes);
    }
}

fn number(id: SpanId) -> u64 {
    u64::from_be_bytes(id.to_bytes())
}

/// Returns the number of entries of the largest table that fits. A table has 2ⁿ slots, and is full
/// at seven eighths.
fn capacity(bytes: usize) -> usize {
    let slots = (bytes / SLOT_BYTES + 1).next_power_of_two() / 2;
    slots / 8 * 7
}

/// Ids are random, so a multiplication is enough for those of a generator that counts.
fn mix(id: u64) -> u64 {
    id.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Hashes span ids only.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, id: u64) {
        self.0 = mix(id);
    }
}
