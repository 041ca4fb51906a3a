//! A batch processor.
//!
//! Spans and records are counted before they enter the queue, and spans also as they start. After
//! the shutdown, they are dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::Span as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogExporter, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter};

use super::queue::{Queue, Rejection};
use super::settings::BatchSettings;
use super::worker::{self, BatchExporter, LogItem};
use crate::env::Env;
use crate::error::InitError;
use crate::export_failure::{Cause, ExportFailure};
use crate::export_stats::ExportStats;
use crate::fork_check::FORKED;
use crate::unique_keys;

/// A processor that exports in batches.
#[derive(Debug)]
pub(crate) struct BatchProcessor<T> {
    queue: Arc<Queue<T>>,
    stats: Arc<ExportStats>,
    /// The setting that makes the queue longer, and its value.
    queue_size: String,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl BatchProcessor<SpanData> {
    pub(crate) fn spans(
        exporter: impl SpanExporter + 'static,
        stats: Arc<ExportStats>,
        env: &Env,
    ) -> Result<Self, InitError> {
        let settings = BatchSettings::for_spans(env);
        let queue_size = settings.queue_size("OTEL_BSP_MAX_QUEUE_SIZE", env);
        BatchProcessor::start("otel-spans", Box::new(exporter), stats, settings, queue_size)
    }
}

impl BatchProcessor<LogItem> {
    pub(crate) fn logs(
        exporter: impl LogExporter + 'static,
        stats: Arc<ExportStats>,
        env: &Env,
    ) -> Result<Self, InitError> {
        let settings = BatchSettings::for_logs(env);
        let queue_size = settings.queue_size("OTEL_BLRP_MAX_QUEUE_SIZE", env);
        BatchProcessor::start("otel-logs", Box::new(exporter), stats, settings, queue_size)
    }
}

impl<T: Send + 'static> BatchProcessor<T> {
    fn start(
        thread: &str,
        exporter: Box<dyn BatchExporter<T>>,
        stats: Arc<ExportStats>,
        settings: BatchSettings,
        queue_size: String,
    ) -> Result<Self, InitError> {
        let queue = Arc::new(Queue::new(settings));
        let started = worker::start(thread, Arc::clone(&queue), exporter, Arc::clone(&stats));
        let thread = started
            .map_err(|error| InitError::new(format!("cannot start the thread {thread}: {error}")).with_source(error))?;
        Ok(BatchProcessor {
            queue,
            stats,
            queue_size,
            thread: Mutex::new(Some(thread)),
        })
    }
}

impl<T> BatchProcessor<T> {
    /// Counts an item that finds the queue full. In a fork, nothing empties it.
    fn count_dropped(&self, pushed: Result<(), Rejection>) {
        if pushed == Err(Rejection::Full) && !self.stats.is_forked() {
            let failure = ExportFailure::new(Cause::QueueFull, &*self.queue_size);
            self.stats.add_failed(1, failure);
        }
    }

    /// Sets the resource of the exporter.
    pub(super) fn set_resource(&self, resource: &Resource) {
        self.queue.set_resource(resource);
    }

    /// Flushes until it is done. Callers have a limit of their own.
    pub(super) fn flush(&self) -> OTelSdkResult {
        if self.stats.is_forked() {
            return Err(OTelSdkError::InternalFailure(FORKED.to_owned()));
        }
        self.queue.flush();
        Ok(())
    }

    pub(super) fn shut_down(&self, timeout: Duration) -> OTelSdkResult {
        if self.stats.is_forked() {
            return Err(OTelSdkError::InternalFailure(FORKED.to_owned()));
        }
        if !self.queue.close() {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        if !self.queue.wait_until_done(timeout) {
            return Err(OTelSdkError::Timeout(timeout));
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(panic)) = thread.map(JoinHandle::join) {
            // Dropping a payload may panic again.
            std::mem::forget(panic);
        }
        Ok(())
    }
}

/// The thread exports what is in the queue, and ends. Nobody waits for it.
impl<T> Drop for BatchProcessor<T> {
    fn drop(&mut self) {
        if !self.stats.is_forked() {
            self.queue.close();
        }
    }
}

impl BatchProcessor<SpanData> {
    pub(super) fn on_start(&self, span: &Span) {
        if span.span_context().is_sampled() {
            self.stats.add_started();
        }
    }

    pub(super) fn on_end(&self, span: SpanData) {
        // Spans that are recorded but not sampled must not be exported.
        if span.span_context.is_sampled() && !self.stats.is_closed() {
            self.stats.add_item(Some(span.end_time));
            self.count_dropped(self.queue.push(span));
        }
    }
}

impl BatchProcessor<LogItem> {
    pub(super) fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.stats.is_closed() {
            return;
        }
        let is_late = self.stats.is_closing();
        if is_late {
            self.stats.add_late();
        } else {
            self.stats.add_item(record.observed_timestamp());
        }
        unique_keys::in_record(record);
        let pushed = self.queue.push((record.clone(), scope.clone()));
        // A late record is no loss.
        if !is_late {
            self.count_dropped(pushed);
        }
    }
}
