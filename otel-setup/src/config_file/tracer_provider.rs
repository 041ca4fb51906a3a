//! `tracer_provider`.

use opentelemetry_sdk::trace::Sampler;

use super::exporters::{Pipeline, processor};
use super::section::Item;
use super::{limits, samplers};
use crate::env::Env;
use crate::error::InitError;
use crate::signal::Signal;

/// The configuration of spans.
#[derive(Debug)]
pub(crate) struct Traces {
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) sampler: Sampler,
    /// The limits of spans.
    pub(crate) limits: Env,
}

pub(super) fn read(item: &Item<'_>, general_limit: Option<i64>) -> Result<Traces, InitError> {
    let mut section = item.section()?;
    let processors = section.required("processors")?.list()?;
    let pipelines = processors.iter().map(|item| processor(Signal::Traces, item));
    let pipelines = pipelines.collect::<Result<_, _>>()?;
    let limits = limits::for_spans(section.get("limits"), general_limit)?.into_env();
    let sampler = match section.get("sampler") {
        Some(item) => samplers::sampler(&item)?,
        None => Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
    };
    if let Some(generator) = section.get("id_generator") {
        let (kind, settings) = generator.only()?;
        if kind != "random" {
            return Err(settings.error("is not a known generator; known is random"));
        }
    }
    section.unsupported("tracer_configurator/development");
    section.finish()?;
    Ok(Traces {
        pipelines,
        sampler,
        limits,
    })
}
