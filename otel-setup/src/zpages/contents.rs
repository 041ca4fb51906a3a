//! The contents of a running span: spans that ended inside, and log lines.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    ended: VecDeque<SpanData>,
    logs: VecDeque<LogLine>,
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
        let span = size::copy(span);
        let bytes = size::span(&span);
        let mut kept = self.kept();
        if kept.ended.len() >= MAX_ENDED
            && let Some(oldest) = kept.ended.pop_front()
        {
            kept.release(size::span(&oldest), self.pool);
            kept.missing_spans += 1;
        }
        if self.pool.reserve(bytes) {
            kept.bytes += bytes;
            kept.ended.push_back(span);
        } else {
            kept.missing_spans += 1;
        }
    }

    /// Adds a log line.
    pub(super) fn add_log(&self, line: LogLine) {
        let bytes = line.size();
        let mut kept = self.kept();
        if kept.logs.len() >= MAX_LOGS
            && let Some(oldest) = kept.logs.pop_front()
        {
            kept.release(oldest.size(), self.pool);
            kept.missing_logs += 1;
        }
        if self.pool.reserve(bytes) {
            kept.bytes += bytes;
            kept.logs.push_back(line);
        } else {
            kept.missing_logs += 1;
        }
    }

    /// Returns copies of the spans that ended inside, and of the log lines.
    pub(super) fn all(&self) -> (Vec<SpanData>, Inside) {
        let kept = self.kept();
        let inside = Inside {
            logs: kept.logs.iter().cloned().collect(),
            missing_spans: kept.missing_spans,
            missing_logs: kept.missing_logs,
        };
        (kept.ended.iter().cloned().collect(), inside)
    }

    /// Returns copies of the log lines of one span.
    pub(super) fn part_of(&self, id: SpanId) -> Inside {
        let kept = self.kept();
        let logs = kept.logs.iter().filter(|line| line.span_id == id);
        Inside {
            logs: logs.cloned().collect(),
            ..Inside::default()
        }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.pool.release(OWN_BYTES + kept.bytes);
    }
}

impl Kept {
    fn release(&mut self, bytes: usize, pool: &Pool) {
        self.bytes -= bytes;
        pool.release(bytes);
    }
}
