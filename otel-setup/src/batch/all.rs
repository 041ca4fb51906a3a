//! The batch processors of one signal, which flush and end at the same time.
//!
//! The SDK calls the processors of a provider one after another. One whose receiver is away would
//! take the time of the others, and their last items would be lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::processor::BatchProcessor;
use super::worker::LogItem;
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;
use crate::shutdown::{Task, spawn};

/// The processors of one signal, as one.
#[derive(Debug)]
pub(crate) struct BatchProcessors<T>(Vec<Arc<BatchProcessor<T>>>);

impl<T: Send + 'static> BatchProcessors<T> {
    /// Returns the processors that `new` makes for the exporters, or `None` if there are none. An
    /// exporter may have none.
    pub(crate) fn for_exporters(
        exporters: &[(Exporter, &Env)],
        mut new: impl FnMut(Exporter, &Env) -> Result<Option<BatchProcessor<T>>, InitError>,
    ) -> Result<Option<Self>, InitError> {
        let mut processors = Vec::new();
        for (exporter, env) in exporters {
            let processor = new(*exporter, env).map_err(|error| error.in_places(env))?;
            processors.extend(processor.map(Arc::new));
        }
        Ok((!processors.is_empty()).then_some(BatchProcessors(processors)))
    }

    /// Lets all processors do it at the same time, and returns the first error.
    fn run(&self, task: Task) -> OTelSdkResult {
        let run = move |processor: &BatchProcessor<T>| match task {
            Task::Flush => processor.flush(),
            Task::ShutDown(timeout) => processor.shut_down(timeout),
        };
        let Some((last, others)) = self.0.split_last() else {
            return Ok(());
        };
        let results = Arc::<Mutex<Vec<OTelSdkResult>>>::default();
        let mut threads = Vec::new();
        for processor in others {
            let work = {
                let (processor, results) = (Arc::clone(processor), Arc::clone(&results));
                move || {
                    let result = run(&processor);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                }
            };
            match spawn(Box::new(work.clone())) {
                Ok(thread) => threads.push(thread),
                Err(_) => work(),
            }
        }
        let mut result = run(last);
        for thread in threads {
            if thread.join().is_err() {
                result = result.and(Err(OTelSdkError::InternalFailure("an exporter panicked".to_owned())));
            }
        }
        for other in results.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            result = result.and(other);
        }
        result
    }

    fn set_resource(&self, resource: &Resource) {
        for processor in &self.0 {
            processor.set_resource(resource);
        }
    }
}

impl SpanProcessor for BatchProcessors<SpanData> {
    fn on_start(&self, span: &mut Span, _: &Context) {
        for processor in &self.0 {
            processor.on_start(span);
        }
    }

    fn on_end(&self, span: SpanData) {
        if let Some((last, others)) = self.0.split_last() {
            for processor in others {
                processor.on_end(span.clone());
            }
            last.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.run(Task::Flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.run(Task::ShutDown(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        BatchProcessors::set_resource(self, resource);
    }
}

impl LogProcessor for BatchProcessors<LogItem> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        for processor in &self.0 {
            processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.run(Task::Flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.run(Task::ShutDown(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        BatchProcessors::set_resource(self, resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::trace::{Link, Span as _, SpanKind, TraceId, TraceState, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{
        InMemorySpanExporter, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, SpanExporter,
    };

    use super::*;
    use crate::export_stats::ExportStats;
    use crate::signal::Signal;

    fn processors(exporter: impl SpanExporter + 'static, stats: &Arc<ExportStats>) -> BatchProcessors<SpanData> {
        let processor = BatchProcessor::spans(exporter, Arc::clone(stats), &Env::from_vars([])).unwrap();
        BatchProcessors(vec![Arc::new(processor)])
    }

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
        let processor = processors(exporter.clone(), &stats);
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

    #[derive(Debug)]
    struct PanickingExporter;

    impl SpanExporter for PanickingExporter {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            panic!("of the test")
        }

        fn set_resource(&mut self, _: &Resource) {
            panic!("of the test")
        }
    }

    #[test]
    fn a_panic_of_the_exporter_costs_one_batch_which_is_counted() {
        let stats = Arc::new(ExportStats::new(Signal::Traces, "here".to_owned()));
        let processor = processors(PanickingExporter, &stats);
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        for _ in 0..2 {
            provider.tracer("test").start("span").end();
            provider.force_flush().unwrap();
        }
        provider.shutdown().unwrap();
        let loss = stats.loss(Duration::ZERO).unwrap();
        let expected = "2 of 2 spans were not delivered to here (2 lost in a panic of the exporter)";
        assert_eq!(loss.message, expected);
    }
}
