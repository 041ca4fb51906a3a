//! The processors of spans or of log records, which flush and end at the same time.
//!
//! The SDK calls those of a provider one after another. One whose receiver is away would take the
//! time of the others, and their last items would be lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;
use crate::shutdown::{Task, spawn};

/// The processors of one signal, as one.
#[derive(Debug)]
pub(crate) struct Processors<P>(Vec<Arc<P>>);

impl<P: Send + Sync + 'static> Processors<P> {
    /// Returns the processors that `new` makes for the exporters, or `None` if there are none. An
    /// exporter may have none.
    pub(crate) fn for_exporters(
        exporters: &[(Exporter, &Env)],
        mut new: impl FnMut(Exporter, &Env) -> Result<Option<P>, InitError>,
    ) -> Result<Option<Self>, InitError> {
        let mut processors = Vec::new();
        for (exporter, env) in exporters {
            let processor = new(*exporter, env).map_err(|error| error.in_places(env))?;
            processors.extend(processor.map(Arc::new));
        }
        Ok((!processors.is_empty()).then_some(Processors(processors)))
    }

    /// Lets all processors do it at the same time, and returns the first error.
    fn run(&self, task: Task, run: fn(&P, Task) -> OTelSdkResult) -> OTelSdkResult {
        let Some((last, others)) = self.0.split_last() else {
            return Ok(());
        };
        let results = Arc::<Mutex<Vec<OTelSdkResult>>>::default();
        let mut threads = Vec::new();
        for processor in others {
            let work = {
                let (processor, results) = (Arc::clone(processor), Arc::clone(&results));
                move || {
                    let result = run(&processor, task);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                }
            };
            match spawn(Box::new(work.clone())) {
                Ok(thread) => threads.push(thread),
                Err(_) => work(),
            }
        }
        let mut result = run(last, task);
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

    /// Calls `set` with each processor. There are no clones before the provider is built.
    fn for_each(&mut self, set: impl Fn(&mut P)) {
        self.0.iter_mut().filter_map(Arc::get_mut).for_each(set);
    }
}

fn end_spans<P: SpanProcessor>(processor: &P, task: Task) -> OTelSdkResult {
    match task {
        Task::Flush => processor.force_flush(),
        Task::ShutDown(timeout) => processor.shutdown_with_timeout(timeout),
    }
}

fn end_logs<P: LogProcessor>(processor: &P, task: Task) -> OTelSdkResult {
    match task {
        Task::Flush => processor.force_flush(),
        Task::ShutDown(timeout) => processor.shutdown_with_timeout(timeout),
    }
}

impl<P: SpanProcessor + 'static> SpanProcessor for Processors<P> {
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
        self.run(Task::Flush, end_spans)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.run(Task::ShutDown(timeout), end_spans)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.for_each(|processor| processor.set_resource(resource));
    }
}

impl<P: LogProcessor + 'static> LogProcessor for Processors<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        for processor in &self.0 {
            processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.run(Task::Flush, end_logs)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.run(Task::ShutDown(timeout), end_logs)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        let mut processors = self.0.iter();
        processors.any(|processor| processor.event_enabled(level, target, name))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.for_each(|processor| processor.set_resource(resource));
    }
}
