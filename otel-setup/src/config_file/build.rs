//! Builds the providers that a file configures.

use std::collections::HashSet;

use super::Config;
use super::exporters::Pipeline;
use crate::builder::Builder;
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;
use crate::providers::Providers;
use crate::signal::Signal;
use crate::{logs, metrics, resource, traces};

impl Config {
    /// Builds the providers. A signal without a section has none. Settings in code take precedence.
    pub(crate) fn providers(&self, builder: &mut Builder) -> Result<Providers, InitError> {
        let none = &self.none;
        #[cfg(feature = "zpages")]
        let zpages = self.distribution.zpages.as_ref().map_or(none, |zpages| &zpages.env);
        #[cfg(not(feature = "zpages"))]
        let zpages = none;
        #[cfg(feature = "zpages")]
        self.configure_zpages(builder, zpages)?;
        let mut attributes = self.resource.clone();
        attributes.append(&mut builder.resource_attributes);
        let resource = resource::resource(attributes, none);

        let explicit = builder.trace_exporters.take();
        let pipelines = self.traces.as_ref().map(|traces| traces.pipelines.as_slice());
        let exporters = exporters(Signal::Traces, explicit, pipelines, none)?;
        let limits = self.traces.as_ref().map_or(none, |traces| &traces.limits);
        if let Some(traces) = &self.traces {
            let sampler = traces.sampler.clone();
            builder.sampler.get_or_insert_with(|| Box::new(sampler));
        }
        let tracers = traces::provider(&exporters, builder, limits, &resource)?;

        self.configure_metrics(builder);
        let explicit = builder.metric_exporters.take();
        let pipelines = self.metrics.as_ref().map(|metrics| metrics.pipelines.as_slice());
        let exporters = self::exporters(Signal::Metrics, explicit, pipelines, none)?;
        let meters = metrics::provider(&exporters, builder, none, &resource)?;

        let explicit = builder.log_exporters.take();
        let exporters = self::exporters(Signal::Logs, explicit, self.logs.as_deref(), none)?;
        let loggers = logs::provider(&exporters, builder, &resource)?;
        Providers::assemble(builder, zpages, tracers, meters, loggers).map_err(|error| error.in_places(zpages))
    }

    /// Adds the settings of the zPages. Those in code take precedence.
    #[cfg(feature = "zpages")]
    fn configure_zpages(&self, builder: &mut Builder, env: &Env) -> Result<(), InitError> {
        if let Some(zpages) = &self.distribution.zpages {
            let hosts = zpages.allowed_hosts.iter().cloned();
            builder.zpages.options.allowed_hosts.extend(hosts);
        }
        builder.zpages.resolve(env).map_err(|error| error.in_places(env))
    }

    /// Adds the views, and the settings of the scrape endpoint.
    fn configure_metrics(&self, builder: &mut Builder) {
        let Some(metrics) = &self.metrics else { return };
        #[cfg(feature = "prometheus")]
        if let Some(strategy) = metrics.prometheus.translation_strategy {
            builder.prometheus.translation_strategy = strategy;
        }
        if metrics.views.is_empty() {
            return;
        }
        let views = metrics.views.clone();
        let configure = builder.configure_meter_provider.take();
        builder.configure_meter_provider = Some(Box::new(move |mut provider| {
            for view in views {
                provider = provider.with_view(move |instrument| view.stream(instrument));
            }
            match configure {
                Some(configure) => configure(provider),
                None => provider,
            }
        }));
    }

    /// Returns the warnings about the file and its exporters.
    pub(crate) fn into_warnings(self) -> Vec<String> {
        let mut warnings = self.warnings;
        let mut environments = vec![self.none];
        #[cfg(feature = "zpages")]
        environments.extend(self.distribution.zpages.map(|zpages| zpages.env));
        if let Some(traces) = self.traces {
            environments.push(traces.limits);
            environments.extend(traces.pipelines.into_iter().map(|pipeline| pipeline.env));
        }
        let others = self
            .metrics
            .map(|metrics| metrics.pipelines)
            .into_iter()
            .chain(self.logs);
        environments.extend(others.flatten().map(|pipeline| pipeline.env));
        warnings.extend(environments.into_iter().flat_map(Env::into_warnings));
        // Variables that are not of the file, such as those of proxies, concern several exporters.
        let mut known = HashSet::new();
        warnings.retain(|warning| known.insert(warning.clone()));
        warnings
    }
}

/// Returns the exporters of a signal with their settings: those of the program, else the file's.
fn exporters<'e>(
    signal: Signal,
    explicit: Option<Vec<Exporter>>,
    pipelines: Option<&'e [Pipeline]>,
    none: &'e Env,
) -> Result<Vec<(Exporter, &'e Env)>, InitError> {
    if explicit.is_some() {
        let exporters = Exporter::resolve(signal, explicit, none)?;
        return Ok(exporters.into_iter().map(|exporter| (exporter, none)).collect());
    }
    let pipelines = pipelines.unwrap_or_default().iter();
    Ok(pipelines.map(|pipeline| (pipeline.exporter, &pipeline.env)).collect())
}
