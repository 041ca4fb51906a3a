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
            processor.take_resource(resource);
        }
    }
}

impl SpanProcessor for BatchProcessors<SpanData> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        for processor in &self.0 {
            processor.on_start(span, context);
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
