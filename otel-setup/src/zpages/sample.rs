//! An ended span that is kept, with what happened inside.

use std::mem::size_of;
use std::time::SystemTime;

use opentelemetry_sdk::trace::SpanData;

use crate::zpages::log_line::LogLine;
use crate::zpages::size;

#[derive(Debug)]
pub(super) struct Sample {
    /// The span, and those that ended inside before it.
    pub(super) spans: Vec<SpanData>,
    pub(super) inside: Inside,
    pub(super) bytes: usize,
}

/// The log lines inside of a span, and how many spans and lines were too many.
#[derive(Clone, Debug, Default)]
pub(super) struct Inside {
    pub(super) logs: Vec<LogLine>,
    pub(super) missing_spans: u64,
    pub(super) missing_logs: u64,
}

impl Sample {
    pub(super) fn new(span: &SpanData, ended: Vec<SpanData>, inside: Inside) -> Self {
        let mut spans = Vec::with_capacity(1 + ended.len());
        spans.push(size::copy(span));
        spans.extend(ended);
        let logs: usize = inside.logs.iter().map(LogLine::size).sum();
        let bytes = spans.iter().map(size::span).sum::<usize>() + logs + size_of::<Self>() + 64;
        Sample { spans, inside, bytes }
    }

    /// Returns the span itself.
    pub(super) fn span(&self) -> Option<&SpanData> {
        self.spans.first()
    }

    pub(super) fn end_time(&self) -> SystemTime {
        self.span().map_or(SystemTime::UNIX_EPOCH, |span| span.end_time)
    }
}
