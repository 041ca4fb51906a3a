//! The thread of a batch processor, which calls the exporter.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use futures_executor::block_on;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::queue::Queue;
use crate::panic_guard::EXPORTER;

/// A log record with the scope of its logger.
pub(crate) type LogItem = (SdkLogRecord, InstrumentationScope);

/// An exporter, as the thread calls it.
///
/// The results of exports are not used, since our exporters count what they deliver.
pub(super) trait BatchExporter<T>: Send {
    fn export(&self, batch: Vec<T>);
    fn set_resource(&mut self, resource: &Resource);
    fn shut_down(&self);
}

impl<E: SpanExporter> BatchExporter<SpanData> for E {
    fn export(&self, batch: Vec<SpanData>) {
        drop(block_on(SpanExporter::export(self, batch)));
    }

    fn set_resource(&mut self, resource: &Resource) {
        SpanExporter::set_resource(self, resource);
    }

    fn shut_down(&self) {
        drop(SpanExporter::shutdown(self));
    }
}

impl<E: LogExporter> BatchExporter<LogItem> for E {
    fn export(&self, batch: Vec<LogItem>) {
        let records: Vec<_> = batch.iter().map(|(record, scope)| (record, scope)).collect();
        drop(block_on(LogExporter::export(self, LogBatch::new(&records))));
    }

    fn set_resource(&mut self, resource: &Resource) {
        LogExporter::set_resource(self, resource);
    }

    fn shut_down(&self) {
        drop(LogExporter::shutdown(self));
    }
}

/// Starts a thread that exports what comes through the queue, until the queue is closed.
pub(super) fn start<T: Send + 'static>(
    name: &str,
    queue: Arc<Queue<T>>,
    mut exporter: Box<dyn BatchExporter<T>>,
) -> io::Result<JoinHandle<()>> {
    // A box, since each type of function would compile the code of threads anew.
    let work: Box<dyn FnOnce() + Send> = Box::new(move || run(&queue, &mut *exporter));
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// A panic of the exporter costs one batch.
fn run<T>(queue: &Queue<T>, exporter: &mut dyn BatchExporter<T>) {
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    loop {
        let mut round = queue.next_round();
        if let Some(resource) = round.resource.take() {
            exporter.set_resource(&resource);
        }
        for batch in (0..round.batches).map_while(|_| queue.take_batch()) {
            EXPORTER.run(|| exporter.export(batch));
        }
        if round.is_last {
            EXPORTER.run(|| exporter.shut_down());
        }
        queue.end_round(&round);
        if round.is_last {
            return;
        }
    }
}
