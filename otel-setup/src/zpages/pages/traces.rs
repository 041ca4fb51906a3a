//! The rest of the trace of a span that a page shows, as far as it is known.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

use crate::zpages::log_line::LogLine;
use crate::zpages::registry::Registry;
use crate::zpages::running::Running;
use crate::zpages::sample::Sample;

/// The number of other spans beside one that is shown, and of their log lines.
const MAX_OTHERS: usize = 64;
/// The number of these on a page. Callers may put all of their RPCs into one trace, and then each
/// span has the same rest.
const MAX_OF_PAGE: usize = 320;

/// All spans that are known.
pub(super) struct Traces {
    running: Vec<Running>,
    samples: Vec<Arc<Sample>>,
    /// The number of other spans beside each one that is shown, and of their log lines.
    limit: usize,
}

/// The rest of a trace.
#[derive(Default)]
pub(super) struct Rest {
    /// Spans, with whether they run.
    pub(super) spans: Vec<(SpanData, bool)>,
    /// The last log lines.
    pub(super) logs: Vec<LogLine>,
    /// The numbers of those that are left out.
    pub(super) more_spans: u64,
    pub(super) more_logs: u64,
}

impl Traces {
    /// Takes copies of all spans, for a page with so many traces.
    pub(super) fn new(registry: &Registry, shown: usize) -> Self {
        let rows = registry.rows.all();
        Traces {
            running: registry.running(),
            samples: rows.iter().flat_map(|row| row.all_samples()).collect(),
            limit: (MAX_OF_PAGE / shown.max(1)).min(MAX_OTHERS),
        }
    }

    /// Returns the rest of the trace of these spans, which have these log lines.
    pub(super) fn rest(&self, shown: &[SpanData], shown_logs: &[LogLine]) -> Rest {
        let mut rest = Rest::default();
        let Some(trace) = shown.first().map(|span| span.span_context.trace_id()) else {
            return rest;
        };
        let mut seen: HashSet<SpanId> = shown.iter().map(|span| span.span_context.span_id()).collect();
        for running in self.running.iter().filter(|running| running.trace_id() == trace) {
            let (ended, inside) = running.inside();
            if let Some(span) = running.span() {
                rest.add(&span, true, &mut seen, self.limit);
            }
            for span in &ended {
                rest.add(span, false, &mut seen, self.limit);
            }
            rest.logs.extend(inside.logs);
        }
        let is_of = |span: &SpanData| span.span_context.trace_id() == trace;
        for sample in self.samples.iter().filter(|sample| sample.span().is_some_and(is_of)) {
            for span in &sample.spans {
                rest.add(span, false, &mut seen, self.limit);
            }
            rest.logs.extend(sample.inside.logs.iter().cloned());
        }
        rest.keep_last_logs(shown_logs, self.limit);
        rest
    }
}

impl Rest {
    /// Adds a span that is not there yet, or counts it.
    fn add(&mut self, span: &SpanData, is_running: bool, seen: &mut HashSet<SpanId>, limit: usize) {
        if !seen.insert(span.span_context.span_id()) {
            return;
        }
        if self.spans.len() < limit {
            self.spans.push((span.clone(), is_running));
        } else {
            self.more_spans += 1;
        }
    }

    /// Keeps the last log lines, each once and without those that are shown.
    fn keep_last_logs(&mut self, shown: &[LogLine], limit: usize) {
        // Samples of one trace have lines in common.
        let shown: HashSet<_> = shown.iter().map(identity).collect();
        let mut logs = std::mem::take(&mut self.logs);
        logs.sort_by(|a, b| (a.time, &a.text).cmp(&(b.time, &b.text)));
        logs.dedup_by(|a, b| identity(a) == identity(b));
        logs.retain(|line| !shown.contains(&identity(line)));
        let more = logs.len().saturating_sub(limit);
        self.more_logs = more as u64;
        self.logs = logs.split_off(more);
    }
}

/// Returns what tells a line from others.
fn identity(line: &LogLine) -> (SystemTime, SpanId, &str) {
    (line.time, line.span_id, &line.text)
}
