//! Where a signal goes.

use super::InitError;
use super::environment::Environment;
use super::signal::Signal;

/// Where a signal goes: what `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` and `OTEL_LOGS_EXPORTER` name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exporter {
    /// `otlp`: to a collector, or whatever else speaks the [OpenTelemetry protocol](https://opentelemetry.io/docs/specs/otlp/).
    #[cfg(feature = "otlp")]
    Otlp,
    /// `console`: to stdout, for people, or [as JSON](super::Builder::console_json).
    Console,
    /// `prometheus`: metrics only, to be scraped.
    #[cfg(feature = "prometheus")]
    Prometheus,
}

/// The exporter of a signal for which nobody says anything: what the specification says, where it is there.
#[cfg(feature = "otlp")]
const DEFAULT: Exporter = Exporter::Otlp;
#[cfg(not(feature = "otlp"))]
const DEFAULT: Exporter = Exporter::Console;

impl Exporter {
    fn as_str(self) -> &'static str {
        match self {
            #[cfg(feature = "otlp")]
            Exporter::Otlp => "otlp",
            Exporter::Console => "console",
            #[cfg(feature = "prometheus")]
            Exporter::Prometheus => "prometheus",
        }
    }

    /// Those of a signal: as the program says, else as the environment says.
    ///
    /// # Errors
    ///
    /// Where an exporter is asked for that is not compiled in, or that does not take this signal.
    pub(super) fn of(
        signal: Signal,
        by_program: Option<Vec<Exporter>>,
        environment: &Environment,
    ) -> Result<Vec<Exporter>, InitError> {
        if let Some(mut exporters) = by_program {
            exporters.dedup();
            #[cfg(feature = "prometheus")]
            if signal != Signal::Metrics && exporters.contains(&Exporter::Prometheus) {
                return Err(InitError::new(format!("Prometheus takes metrics, no {signal}")));
            }
            return Ok(exporters);
        }
        let variable = format!("OTEL_{}_EXPORTER", signal.in_variables());
        let Some(list) = environment.text(&variable) else {
            return Ok(vec![DEFAULT]);
        };
        parse(signal, &variable, &list, environment)
    }
}

fn parse(signal: Signal, variable: &str, list: &str, environment: &Environment) -> Result<Vec<Exporter>, InitError> {
    let mut exporters = Vec::new();
    let mut unknown = Vec::new();
    let mut is_none = false;
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let exporter = match entry.to_ascii_lowercase().as_str() {
            "console" => Exporter::Console,
            #[cfg(feature = "otlp")]
            "otlp" => Exporter::Otlp,
            #[cfg(not(feature = "otlp"))]
            "otlp" => return Err(missing(variable, list, "otlp")),
            #[cfg(feature = "prometheus")]
            "prometheus" if signal == Signal::Metrics => Exporter::Prometheus,
            #[cfg(not(feature = "prometheus"))]
            "prometheus" if signal == Signal::Metrics => return Err(missing(variable, list, "prometheus")),
            "none" => {
                is_none = true;
                continue;
            }
            _ => {
                unknown.push(format!("{entry:?}"));
                continue;
            }
        };
        if !exporters.contains(&exporter) {
            exporters.push(exporter);
        }
    }
    if is_none && !exporters.is_empty() {
        unknown.push("\"none\" beside others".to_owned());
    }
    if exporters.is_empty() && !is_none {
        exporters.push(DEFAULT);
    }
    if !unknown.is_empty() {
        let used: Vec<&str> = exporters.iter().map(|exporter| exporter.as_str()).collect();
        let used = if used.is_empty() {
            "none".to_owned()
        } else {
            used.join(",")
        };
        let unknown = unknown.join(", ");
        environment.warn(
            variable,
            list,
            format_args!("names exporters of {signal} that are not known: {unknown}; used instead: {used}"),
        );
    }
    Ok(exporters)
}

#[cfg(not(all(feature = "otlp", feature = "prometheus")))]
fn missing(variable: &str, list: &str, feature: &str) -> InitError {
    InitError::of_variable(
        variable,
        list,
        format_args!("needs the cargo feature `{feature}` of otel-runtime"),
    )
}
