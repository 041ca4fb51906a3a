//! Checks a file without setting anything up.

use std::fmt;
use std::path::Path;

use super::Config;
use super::exporters::Pipeline;
#[cfg(any(feature = "console", feature = "otlp"))]
use crate::batch::settings::BatchSettings;
use crate::error::InitError;
use crate::signal::Signal;
use crate::span_limits;

/// The effect of a configuration file, as [`check`] returns it.
///
/// [`Display`](fmt::Display) has a line for each signal, and one for each warning.
#[derive(Clone, Debug)]
pub struct ConfigReport {
    lines: Vec<String>,
    warnings: Vec<String>,
}

impl ConfigReport {
    /// Returns the warnings that the setup would log.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl fmt::Display for ConfigReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

/// Checks a [configuration file](crate::docs::configuration_file), such as in a test or in CI, and
/// says what it would do. Nothing is set up, and nothing is sent.
///
/// References to environment variables are replaced by those of this process. Files with
/// certificates and keys are read.
///
/// # Errors
///
/// If [`init`](crate::init) would refuse the file. The message names the place and the line.
///
/// ```no_run
/// let report = otel_setup::check("otel.yaml")?;
/// println!("{report}");
/// assert_eq!(report.warnings(), [""; 0]);
/// # Ok::<(), otel_setup::InitError>(())
/// ```
pub fn check(path: impl AsRef<Path>) -> Result<ConfigReport, InitError> {
    report(Config::load(path.as_ref())?)
}

/// Says what a file would do.
pub(super) fn report(config: Config) -> Result<ConfigReport, InitError> {
    let mut lines = Vec::new();
    if config.is_disabled {
        lines.push("disabled: no traces, metrics or logs".to_owned());
    }
    let sampler = config
        .traces
        .as_ref()
        .map(|traces| format!("; sampler {:?}", traces.sampler));
    let traces = config.traces.as_ref().map(|traces| traces.pipelines.as_slice());
    if let Some(traces) = &config.traces {
        span_limits::from_env(&traces.limits);
    }
    lines.push(line(Signal::Traces, traces)? + sampler.as_deref().unwrap_or_default());
    let metrics = config.metrics.as_ref();
    let views = metrics.map_or(0, |metrics| metrics.views.len());
    let views = if views == 0 {
        String::new()
    } else {
        format!("; views: {views}")
    };
    lines.push(line(Signal::Metrics, metrics.map(|metrics| metrics.pipelines.as_slice()))? + &views);
    lines.push(line(Signal::Logs, config.logs.as_deref())?);
    lines.push(format!("propagators: {}", config.propagators));
    let layers = config.instrumentation.layers.as_ref();
    lines.extend(layers.into_iter().flat_map(|layers| layers.lines.clone()));
    #[cfg(feature = "zpages")]
    if let Some(zpages) = config.distribution.zpages.as_ref().filter(|_| !config.is_disabled) {
        let line = crate::zpages::check(&zpages.env).map_err(|error| error.in_places(&zpages.env))?;
        lines.push(line);
    }
    let warnings = config.into_warnings();
    Ok(ConfigReport { lines, warnings })
}

fn line(signal: Signal, pipelines: Option<&[Pipeline]>) -> Result<String, InitError> {
    let Some(pipelines) = pipelines else {
        return Ok(format!("{signal}: none"));
    };
    let exporters: Result<Vec<String>, InitError> =
        pipelines.iter().map(|pipeline| exporter(signal, pipeline)).collect();
    Ok(format!("{signal}: {}", exporters?.join(", ")))
}

#[cfg_attr(not(feature = "otlp"), allow(unused_variables, clippy::unnecessary_wraps))]
fn exporter(signal: Signal, pipeline: &Pipeline) -> Result<String, InitError> {
    let name = pipeline.exporter.as_str();
    #[cfg(any(feature = "console", feature = "otlp"))]
    match signal {
        Signal::Traces => drop(BatchSettings::for_spans(&pipeline.env)),
        Signal::Logs => drop(BatchSettings::for_logs(&pipeline.env)),
        Signal::Metrics => {}
    }
    #[cfg(feature = "otlp")]
    if pipeline.exporter == crate::Exporter::Otlp {
        let endpoint = crate::otlp::checked_endpoint(signal, &pipeline.env);
        let endpoint = endpoint.map_err(|error| error.in_places(&pipeline.env))?;
        return Ok(format!("{name} to {endpoint}"));
    }
    Ok(name.to_owned())
}
