//! `meter_provider`.

use super::exporters::{Pipeline, read_exporter};
use super::prometheus;
use super::section::Item;
use super::views::{self, View};
use crate::env::EnvPairs;
use crate::error::InitError;
use crate::signal::Signal;

const EXEMPLARS: &str = "OTEL_METRICS_EXEMPLAR_FILTER";

/// The configuration of metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) views: Vec<View>,
    #[cfg_attr(not(feature = "prometheus"), allow(dead_code, reason = "it has no settings then"))]
    pub(crate) prometheus: prometheus::Settings,
}

pub(super) fn read(item: &Item<'_>) -> Result<Metrics, InitError> {
    let mut section = item.section()?;
    let readers = section.required("readers")?.list()?;
    let known = ["always_on", "always_off", "trace_based"].map(|name| (name, name));
    let filter = section.get("exemplar_filter");
    let exemplars = filter.as_ref().map(|item| item.one_of(&known)).transpose()?;
    let mut metrics = Metrics {
        pipelines: Vec::new(),
        views: Vec::new(),
        prometheus: prometheus::Settings::default(),
    };
    let mut has_pull = false;
    for reader in readers {
        let (kind, settings) = reader.only()?;
        let mut variables = EnvPairs::default();
        match kind {
            "periodic" => metrics.pipelines.push(periodic(&settings, variables)?),
            "pull" if has_pull => return Err(settings.error("is the second reader of this kind; there can be one")),
            "pull" => {
                has_pull = true;
                variables.set(EXEMPLARS, exemplars);
                metrics
                    .pipelines
                    .push(pull(&settings, variables, &mut metrics.prometheus)?);
            }
            _ => return Err(settings.error("is not a known reader; known are periodic, pull")),
        }
    }
    if let Some(filter) = filter.filter(|_| !has_pull && exemplars != Some("always_off")) {
        filter.warn("has no effect: only the exporter prometheus has exemplars");
    }
    if let Some(list) = section.get("views") {
        metrics.views = list.list()?.iter().map(views::read).collect::<Result<_, _>>()?;
    }
    section.unsupported("meter_configurator/development");
    section.finish()?;
    Ok(metrics)
}

fn periodic(item: &Item<'_>, mut variables: EnvPairs) -> Result<Pipeline, InitError> {
    let mut section = item.section()?;
    let interval = section.integer("interval", 0)?.map(|interval| interval.max(1));
    variables.set("OTEL_METRIC_EXPORT_INTERVAL", interval);
    let timeout = section.integer("timeout", 0)?;
    let exporter = section.required("exporter")?;
    section.unsupported("producers");
    section.unsupported("cardinality_limits");
    section.unsupported("max_export_batch_size/development");
    section.finish()?;
    let (kind, settings) = exporter.only()?;
    if kind.starts_with("prometheus") {
        return Err(settings.error("belongs to a reader `pull`"));
    }
    read_exporter(Signal::Metrics, &exporter, timeout, variables)
}

fn pull(item: &Item<'_>, mut variables: EnvPairs, settings: &mut prometheus::Settings) -> Result<Pipeline, InitError> {
    let mut section = item.section()?;
    let exporter = section.required("exporter")?;
    section.unsupported("producers");
    section.unsupported("cardinality_limits");
    section.finish()?;
    let (kind, item) = exporter.only()?;
    if kind != "prometheus/development" {
        return Err(item.error("is not a known exporter; known is prometheus/development"));
    }
    *settings = prometheus::read(&item, &mut variables)?;
    read_exporter(Signal::Metrics, &exporter, None, variables)
}
