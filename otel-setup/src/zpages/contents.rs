//! The contents of a running span: spans that ended inside, and log lines.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

use crate::zpages::budget::Pool;
use crate::zpages::log_line::LogLine;
use crate::zpages::sample::Inside;
use crate::zpages::size;

/// The last spans and log lines that are kept.
const MAX_ENDED: usize = 32;
const MAX_LOGS: usize = 64;
/// The bytes that it takes when it is empty, with the counts of its references.
const OWN_BYTES: usize = size_of::<Contents>() + 16;

/// Spans that ended inside of a first span, and log lines. Their room is given back when this is
/// dropped.
#[derive(Debug)]
pub(super) struct Contents {
    pool: &'static Pool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    // In boxes, since a queue has room for more than it holds.
    ended: VecDeque<Box<SpanData>>,
    logs: VecDeque<Box<LogLine>>,
    missing_spans: u64,
    missing_logs: u64,
    bytes: usize,
}

impl Contents {
    #[cold]
    pub(super) fn new(pool: &'static Pool) -> Self {
        // Too little to refuse it: a span with contents has more of them.
        pool.add(OWN_BYTES);
        Contents {
            pool,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a span that ended inside.
    #[cold]
    pub(super) fn add_ended(&self, span: &SpanData) {
        let span = Box::new(size::copy(span));
        let bytes = bytes_of_ended(&span);
        let mut kept = self.kept();
        if kept.ended.len() >= MAX_ENDED {
            kept.drop_ended(self.pool);
        }
        if kept.reserve(bytes, self.pool) {
            kept.ended.push_back(span);
        } else {
            kept.missing_spans += 1;
        }
    }

    /// Adds a log line.
    pub(super) fn add_log(&self, line: LogLine) {
        let line = Box::new(line);
        let bytes = bytes_of_log(&line);
        let mut kept = self.kept();
        if kept.logs.len() >= MAX_LOGS {
            kept.drop_log(self.pool);
        }
        if kept.reserve(bytes, self.pool) {
            kept.logs.push_back(line);
        } else {
            kept.missing_logs += 1;
        }
    }

    /// Returns the bytes that the spans and lines take.
    fn bytes(&self) -> usize {
        self.kept().bytes
    }

    /// Drops the oldest spans and lines until the others take no more than so many bytes. Returns
    /// the bytes that these take.
    fn trim(&self, share: usize) -> usize {
        let mut kept = self.kept();
        while kept.bytes > share && kept.drop_one(self.pool) {}
        kept.bytes
    }

    /// Returns copies of the spans that ended inside, and of the log lines.
    pub(super) fn all(&self) -> (Vec<SpanData>, Inside) {
        let kept = self.kept();
        let inside = Inside {
            logs: kept.logs.iter().map(|line| LogLine::clone(line)).collect(),
            missing_spans: kept.missing_spans,
            missing_logs: kept.missing_logs,
        };
        let ended = kept.ended.iter().map(|span| SpanData::clone(span));
        (ended.collect(), inside)
    }

    /// Returns copies of the log lines of one span.
    pub(super) fn logs_of(&self, id: SpanId) -> Inside {
        let kept = self.kept();
        let logs = kept.logs.iter().filter(|line| line.span_id == id);
        Inside {
            logs: logs.map(|line| LogLine::clone(line)).collect(),
            ..Inside::default()
        }
    }
}

/// Leaves each of these the same part of one half of the pool, and more while the others need less:
/// otherwise the first spans would keep all of it for as long as they run.
pub(super) fn share(mut all: Vec<Arc<Contents>>, pool: &Pool) {
    // A span that has ended lives on in those inside of it.
    all.sort_by_key(Arc::as_ptr);
    all.dedup_by_key(|contents| Arc::as_ptr(contents));
    // The contents themselves take their bytes for as long as the spans run.
    let mut room = pool.limit().saturating_sub(all.len() * OWN_BYTES) / 2;
    all.sort_by_cached_key(|contents| contents.bytes());
    for (index, contents) in all.iter().enumerate() {
        let others = all.len() - index;
        room -= contents.trim(room / others);
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.pool.release(OWN_BYTES + kept.bytes);
    }
}

impl Kept {
    /// Reserves bytes, in place of the oldest spans and lines if there is no other room.
    fn reserve(&mut self, bytes: usize, pool: &Pool) -> bool {
        while !pool.reserve(bytes) {
            // A span that is larger than all that is here is not worth it.
            if self.bytes < bytes || !self.drop_one(pool) {
                return false;
            }
        }
        self.bytes += bytes;
        true
    }

    /// Drops the oldest span or the oldest line, and returns whether there was one.
    fn drop_one(&mut self, pool: &Pool) -> bool {
        if self.ended.len() > self.logs.len() {
            self.drop_ended(pool)
        } else {
            self.drop_log(pool)
        }
    }

    fn drop_ended(&mut self, pool: &Pool) -> bool {
        let oldest = self.ended.pop_front();
        if let Some(span) = &oldest {
            self.missing_spans += 1;
            self.release(bytes_of_ended(span), pool);
        }
        oldest.is_some()
    }

    fn drop_log(&mut self, pool: &Pool) -> bool {
        let oldest = self.logs.pop_front();
        if let Some(line) = &oldest {
            self.missing_logs += 1;
            self.release(bytes_of_log(line), pool);
        }
        oldest.is_some()
    }

    fn release(&mut self, bytes: usize, pool: &Pool) {
        self.bytes -= bytes;
        pool.release(bytes);
    }
}

/// Returns the bytes that a span takes, with two places in the queue.
fn bytes_of_ended(span: &SpanData) -> usize {
    size::span(span) + 2 * size_of::<Box<SpanData>>()
}

fn bytes_of_log(line: &LogLine) -> usize {
    line.size() + 2 * size_of::<Box<LogLine>>()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// The pool has room for twice as many spans as `half` says, beside the contents themselves.
    #[test]
    fn one_half_is_shared_and_used_up() {
        let tracer = SdkTracerProvider::builder().build().tracer("app");
        let span = tracer.start("step").exported_data().unwrap();
        let bytes = bytes_of_ended(&span);
        for (spans, half, expected) in [
            (&[4, 4, 4][..], 6, &[2, 2, 2][..]),
            (&[1, 10, 1], 8, &[1, 1, 6]),
            (&[0, 6, 0, 0], 6, &[0, 0, 0, 6]),
            (&[3, 3, 0], 4, &[0, 2, 2]),
            // There is not one place for each.
            (&[1; 5], 3, &[0, 0, 1, 1, 1]),
        ] {
            let limit = spans.len() * OWN_BYTES + 2 * half * bytes;
            let pool: &Pool = Box::leak(Box::new(Pool::new(limit)));
            let new = |spans: &usize| {
                let contents = Arc::new(Contents::new(pool));
                (0..*spans).for_each(|_| contents.add_ended(&span));
                contents
            };
            let all: Vec<Arc<Contents>> = spans.iter().map(new).collect();
            share(all.clone(), pool);
            let mut kept: Vec<usize> = all.iter().map(|contents| contents.all().0.len()).collect();
            kept.sort_unstable();
            assert_eq!(kept, expected, "{spans:?}");
        }
    }
}
