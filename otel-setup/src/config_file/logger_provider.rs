//! `logger_provider`.

use super::exporters::{Pipeline, processor};
use super::limits;
use super::section::Item;
use crate::error::InitError;
use crate::signal::Signal;

pub(super) fn read(item: &Item<'_>) -> Result<Vec<Pipeline>, InitError> {
    let mut section = item.section()?;
    let processors = section.required("processors")?.list()?;
    let pipelines = processors.iter().map(|item| processor(Signal::Logs, item));
    let pipelines = pipelines.collect::<Result<_, _>>()?;
    limits::for_records(section.get("limits"))?;
    section.unsupported("logger_configurator/development");
    section.finish()?;
    Ok(pipelines)
}
