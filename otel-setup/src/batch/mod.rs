//! The batch processors of spans and log records: a queue, and a thread that exports.

mod all;
mod processor;
mod queue;
pub(crate) mod settings;
mod worker;

pub(crate) use all::BatchProcessors;
pub(crate) use processor::BatchProcessor;
pub(crate) use worker::LogItem;
