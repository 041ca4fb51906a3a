//! The least that any pages need: which RPCs run, since when, and how long the others took.
//!
//! No name is shown that the program does not have anyway; there are no samples, no limit of
//! memory, and only RPCs are known.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanId, SpanKind};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use otel_runtime::observer::{self, CallObserver, MethodObserver, StartedCall};

/// The numbers of one method.
#[derive(Debug, Default)]
struct Row {
    running: AtomicI64,
    latencies: [AtomicU64; 9],
}

#[derive(Clone, Copy, Debug)]
struct Running {
    row: &'static Row,
    _since: SystemTime,
}

/// A span's id is random, and needs no hash.
#[derive(Default)]
struct Id(u64);

impl Hasher for Id {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

type Shard = Mutex<HashMap<u64, Running, BuildHasherDefault<Id>>>;

/// The RPCs that run, in tables that threads rarely share.
#[derive(Debug, Default)]
pub(crate) struct Floor([Shard; 32]);

impl Floor {
    fn shard(&self, id: SpanId) -> (u64, &Shard) {
        let id = u64::from_be_bytes(id.to_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "below the number of shards")]
        let shard = &self.0[id as usize % 32];
        (id, shard)
    }
}

struct Method {
    floor: &'static Floor,
    row: &'static Row,
}

impl MethodObserver for Method {
    fn start(&self, call: StartedCall<'_>) {
        let (id, shard) = self.floor.shard(call.span_context.span_id());
        let running = Running {
            row: self.row,
            _since: call.start_time,
        };
        shard.lock().unwrap_or_else(PoisonError::into_inner).insert(id, running);
        self.row.running.fetch_add(1, Ordering::Relaxed);
    }
}

impl CallObserver for Floor {
    fn method(&'static self, _: &'static str, _: SpanKind) -> Box<dyn MethodObserver> {
        Box::new(Method {
            floor: self,
            row: Box::leak(Box::default()),
        })
    }

    fn start(&self, _: &str, _: SpanKind, _: StartedCall<'_>) {}

    fn set_method(&self, _: SpanId, _: &'static str) {}

    fn discard(&self, _: SpanId) {}
}

/// The processor of the spans.
#[derive(Debug)]
pub(crate) struct FloorSpans(&'static Floor);

impl FloorSpans {
    /// Sets the observer, and returns its processor.
    pub(crate) fn observe() -> Self {
        let floor: &'static Floor = Box::leak(Box::default());
        observer::set(floor);
        FloorSpans(floor)
    }
}

impl SpanProcessor for FloorSpans {
    fn on_start(&self, span: &mut Span, _: &Context) {
        // Other spans are none of these pages'.
        let _ = observer::meets(span.span_context());
    }

    fn on_end(&self, span: SpanData) {
        let (id, shard) = self.0.shard(span.span_context.span_id());
        let running = shard.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(Running { row, .. }) = running {
            row.running.fetch_sub(1, Ordering::Relaxed);
            let latency = span.end_time.duration_since(span.start_time).unwrap_or_default();
            let bucket = latency.as_micros().checked_ilog10().unwrap_or_default() as usize;
            row.latencies[bucket.min(8)].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
