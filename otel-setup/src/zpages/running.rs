//! The spans that run now.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::size_of;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, Status};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use otel_runtime::observer::{self, Messages, RunningCall, StartedCall};

use crate::zpages::budget::Pool;
use crate::zpages::log_line::LogLine;
use crate::zpages::registry::Registry;
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
pub(super) enum Entry {
    Detailed(Arc<Running>),
    /// A span whose details had no room.
    Counted(&'static Row),
}

/// The details of a running span. Its room is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    registry: &'static Registry,
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

/// A span as it was when it started.
#[derive(Debug)]
pub(super) enum Start {
    /// The span of an RPC, as the RPC has told it.
    Call(StartedCall),
    /// A copy of any other span.
    Span(Box<SpanData>),
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
        match self.shard(id).get(&id)? {
            Entry::Detailed(running) => Some(Arc::clone(running)),
            Entry::Counted(_) => None,
        }
    }

    /// Returns all running spans with details.
    pub(super) fn all(&self) -> Vec<Arc<Running>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.values().filter_map(|entry| match entry {
                Entry::Detailed(running) => Some(Arc::clone(running)),
                Entry::Counted(_) => None,
            }));
        }
        all
    }
}

impl Running {
    /// Reserves the room of a span. If there is none, returns `None`.
    #[inline]
    pub(super) fn new(
        registry: &'static Registry,
        row: &'static Row,
        start: Start,
        root: Option<Arc<Running>>,
    ) -> Option<Arc<Self>> {
        let bytes = size_of::<Running>() + 16 + start.size();
        registry.budget.details.reserve(bytes).then(|| {
            Arc::new(Running {
                registry,
                row,
                start,
                root,
                messages: Messages::default(),
                method: OnceLock::new(),
                is_ended: AtomicBool::new(false),
                contents: OnceLock::new(),
                bytes,
            })
        })
    }

    pub(super) fn span_context(&self) -> &SpanContext {
        match &self.start {
            Start::Call(call) => &call.span_context,
            Start::Span(span) => &span.span_context,
        }
    }

    pub(super) fn start_time(&self) -> SystemTime {
        match &self.start {
            Start::Call(call) => call.start_time,
            Start::Span(span) => span.start_time,
        }
    }

    /// Returns the span as far as it is known.
    pub(super) fn span(&self) -> SpanData {
        match &self.start {
            Start::Call(call) => of_call(call, self.method.get().copied()),
            Start::Span(span) => SpanData::clone(span),
        }
    }

    /// Returns the address of the client, if the span is that of an RPC at a server.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        let Start::Call(call) = &self.start else { return None };
        let peer = call.peer?;
        Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()))
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

    fn contents(&self) -> Option<MutexGuard<'_, Contents>> {
        let contents = self.contents.get()?;
        Some(contents.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn contents_to_fill(&self) -> MutexGuard<'_, Contents> {
        let contents = self.contents.get_or_init(|| {
            // Too little to refuse it: a span with contents has more of them.
            self.registry.budget.details.add(size_of::<Mutex<Contents>>());
            Box::default()
        });
        contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a span that ended inside of this first one.
    #[cold]
    pub(super) fn add_ended(&self, span: &SpanData) {
        let pool = &self.registry.budget.details;
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
        let pool = &self.registry.budget.details;
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
        let contents = match self.contents.get_mut() {
            None => 0,
            Some(contents) => {
                let contents = contents.get_mut().unwrap_or_else(PoisonError::into_inner);
                size_of::<Mutex<Contents>>() + contents.bytes
            }
        };
        self.registry.budget.details.release(self.bytes + contents);
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
    fn end(&self) {
        if !self.is_ended.load(Ordering::Relaxed) {
            self.registry.abandon(self.span_context().span_id());
        }
    }
}

impl Start {
    /// Copies a span, without the parts that make it too large.
    pub(super) fn of(span: SpanData) -> Self {
        let is_small = size::span(&span) <= size::MAX_SPAN;
        Start::Span(Box::new(if is_small { span } else { size::copy(&span) }))
    }

    /// Returns the bytes that it has on the heap.
    #[inline]
    fn size(&self) -> usize {
        match self {
            // Most names and addresses are shared by all calls.
            Start::Call(call) => call.name.len() + size::trace_state(&call.span_context),
            Start::Span(span) => size::span(span) + 16,
        }
    }
}

/// Returns the span of a call, whose method has become known since or not.
fn of_call(call: &StartedCall, method: Option<&'static str>) -> SpanData {
    let named = method.map(|method| StartedCall {
        name: method.into(),
        ..call.clone()
    });
    let call = named.as_ref().unwrap_or(call);
    SpanData {
        span_context: call.span_context.clone(),
        parent_span_id: call.parent_span_id,
        parent_span_is_remote: call.parent_span_is_remote,
        span_kind: call.kind.clone(),
        name: call.name.clone(),
        start_time: call.start_time,
        end_time: call.start_time,
        attributes: call.attributes(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: observer::scope(),
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
