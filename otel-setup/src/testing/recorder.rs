//! The span processor that keeps spans in memory.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::trace::SpanId;
use opentelemetry::{Context, trace};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::watch;

/// A span processor that keeps spans that run and spans that have ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder(watch::Sender<Spans>);

/// The spans of one test.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// As they were when they started.
    pub(super) running: HashMap<SpanId, SpanData>,
    /// In the order of their end.
    pub(super) ended: Vec<SpanData>,
    /// The number of running spans that never end.
    pub(super) discarded: usize,
}

impl Spans {
    /// Returns whether each span that has started has ended.
    pub(super) fn all_have_ended(&self) -> bool {
        self.running.len() <= self.discarded
    }

    /// Returns the number of spans that have started, without those that never end.
    pub(super) fn started(&self) -> usize {
        (self.ended.len() + self.running.len()).saturating_sub(self.discarded)
    }
}

impl Recorder {
    /// Returns a receiver that is notified of every start and end.
    pub(super) fn subscribe(&self) -> watch::Receiver<Spans> {
        self.0.subscribe()
    }

    /// Reads the spans. Spans cannot start or end meanwhile.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Spans) -> T) -> T {
        read(&self.0.borrow())
    }

    /// Forgets all spans. Running ones are not recorded when they end.
    pub(super) fn clear(&self) {
        self.0.send_modify(|spans| *spans = Spans::default());
    }

    /// Expects that this number of running spans never ends.
    pub(super) fn discard(&self, count: usize) {
        self.0.send_modify(|spans| spans.discarded += count);
    }
}

impl SpanProcessor for Recorder {
    fn on_start(&self, span: &mut Span, _: &Context) {
        let id = trace::Span::span_context(span).span_id();
        if let Some(span) = span.exported_data() {
            self.0.send_modify(|spans| {
                spans.running.insert(id, span);
            });
        }
    }

    fn on_end(&self, span: SpanData) {
        self.0.send_modify(|spans| {
            // Spans of an earlier test are not there.
            if spans.running.remove(&span.span_context.span_id()).is_some() {
                spans.ended.push(span);
            }
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
