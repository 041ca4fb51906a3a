//! An ended span that is kept, with what happened inside.

use std::mem::size_of;

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
    /// Copies a span, with as much of the spans and log lines inside as fits into `max` bytes.
    pub(super) fn new(span: &SpanData, ended: Vec<SpanData>, mut inside: Inside, max: usize) -> Self {
        let span = size::copy(span);
        let mut bytes = size::span(&span) + size_of::<Self>() + 64;
        let mut fits = |added: usize| {
            let fits = bytes + added <= max;
            bytes += if fits { added } else { 0 };
            fits
        };
        // The last ones are the most interesting.
        let logs = inside.logs.iter().rev().take_while(|line| fits(line.size())).count();
        let missing_logs = inside.logs.len() - logs;
        inside.logs.drain(..missing_logs);
        inside.logs.shrink_to_fit();
        let kept = ended.iter().rev().take_while(|span| fits(size::span(span))).count();
        let missing_spans = ended.len() - kept;
        inside.missing_logs += missing_logs as u64;
        inside.missing_spans += missing_spans as u64;
        let mut spans = Vec::with_capacity(1 + kept);
        spans.push(span);
        spans.extend(ended.into_iter().skip(missing_spans));
        Sample { spans, inside, bytes }
    }

    /// Returns the span itself.
    pub(super) fn span(&self) -> Option<&SpanData> {
        self.spans.first()
    }
}
