//! A batch processor.
//!
//! Spans and records are counted before they enter the queue, and spans also as they start. After
//! the shutdown, they are dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry::trace::Span as _;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogExporter, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

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
        let started = worker::start(thread, Arc::clone(&queue), exporter);
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
    /// Counts an item that finds the queue full.
    fn count_dropped(&self, pushed: Result<(), Rejection>) {
        if pushed == Err(Rejection::Full) {
            let failure = ExportFailure::new(Cause::QueueFull, &*self.queue_size);
            self.stats.add_failed(1, failure);
        }
    }

    /// Sets the resource of the exporter.
    pub(super) fn take_resource(&self, resource: &Resource) {
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
        self.queue.close();
    }
}

impl SpanProcessor for BatchProcessor<SpanData> {
    fn on_start(&self, span: &mut Span, _: &Context) {
        if span.span_context().is_sampled() {
            self.stats.add_started();
        }
    }

    fn on_end(&self, span: SpanData) {
        // Spans that are recorded but not sampled must not be exported.
        if span.span_context.is_sampled() && !self.stats.is_closed() {
            self.stats.add_item(Some(span.end_time));
            self.count_dropped(self.queue.push(span));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.shut_down(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}

impl LogProcessor for BatchProcessor<LogItem> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
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

    fn force_flush(&self) -> OTelSdkResult {
        self.flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.shut_down(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{
        InMemorySpanExporter, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
    };

    use super::*;
    use crate::signal::Signal;

    /// Samples spans named `exported`, and only records all others.
    #[derive(Clone, Debug)]
    struct ByName;

    impl ShouldSample for ByName {
        fn should_sample(
            &self,
            _: Option<&Context>,
            _: TraceId,
            name: &str,
            _: &SpanKind,
            _: &[KeyValue],
            _: &[Link],
        ) -> SamplingResult {
            let decision = match name {
                "exported" => SamplingDecision::RecordAndSample,
                _ => SamplingDecision::RecordOnly,
            };
            SamplingResult {
                decision,
                attributes: Vec::new(),
                trace_state: TraceState::default(),
            }
        }
    }

    #[test]
    fn record_only_spans_are_neither_exported_nor_counted() {
        let exporter = InMemorySpanExporter::default();
        let stats = Arc::new(ExportStats::new(Signal::Traces, "here".to_owned()));
        let env = Env::from_vars([]);
        let processor = BatchProcessor::spans(exporter.clone(), Arc::clone(&stats), &env).unwrap();
        let provider = SdkTracerProvider::builder()
            .with_sampler(ByName)
            .with_span_processor(processor)
            .build();
        for name in ["exported", "recorded", "exported"] {
            provider.tracer("test").start(name).end();
        }
        provider.force_flush().unwrap();
        assert_eq!(exporter.get_finished_spans().unwrap().len(), 2);
        let loss = stats.loss(Duration::ZERO).unwrap();
        assert_eq!(loss.lost, 2, "this exporter counts no deliveries");
    }
}
