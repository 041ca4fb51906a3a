//! The exporters of a signal.

use crate::env::Env;
use crate::error::InitError;
use crate::signal::Signal;

/// An exporter, as `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` and `OTEL_LOGS_EXPORTER` name
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exporter {
    /// `otlp`: exports to a collector or any other receiver of the
    /// [OpenTelemetry protocol](https://opentelemetry.io/docs/specs/otlp/).
    ///
    /// Each variable exists once for all signals and once per signal, such as
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. The specific one takes precedence. An empty value
    /// counts as unset.
    ///
    /// | `OTEL_EXPORTER_OTLP_…` | default | meaning |
    /// |---|---|---|
    /// | `PROTOCOL` | `grpc` | or `http/protobuf`: see [`Protocol`](crate::Protocol) |
    /// | `ENDPOINT` | `http://localhost:4317`, for `http/protobuf` `:4318` | over HTTP, `/v1/traces`, `/v1/metrics` or `/v1/logs` is appended to the general endpoint, and nothing to a specific one |
    /// | `HEADERS` | none | `name=value,name=value`, values percent-encoded: an API key, for example |
    /// | `TIMEOUT` | `10000` | milliseconds to export a batch, including retries |
    /// | `COMPRESSION` | `none` | or `gzip`, with the Cargo feature `gzip` |
    /// | `INSECURE` | `false` | `true`: a gRPC endpoint without a scheme, such as `collector:4317`, uses `http` |
    /// | `CERTIFICATE` | the system's | a PEM file with the trusted certificates |
    /// | `CLIENT_CERTIFICATE`, `CLIENT_KEY` | none | PEM files with the client certificate and its private key |
    /// | `METRICS_TEMPORALITY_PREFERENCE` | `cumulative` | or `delta`, `lowmemory` |
    ///
    /// `https` requires the Cargo feature `tls`.
    ///
    /// Exports run on separate threads, so a slow or unreachable receiver does not delay the
    /// service. Memory is bounded by the queues of 2048 spans and 2048 log records
    /// (`OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BLRP_MAX_QUEUE_SIZE`), one batch of each, and one export
    /// of metrics, and taken as it is needed. Spans and log records that find their queue full are
    /// lost.
    ///
    /// Losses are logged, at most once a minute for each reason, and
    /// [`shutdown`](crate::Telemetry::shutdown) reports their number. The rejected items of a
    /// [partial success](https://opentelemetry.io/docs/specs/otlp/#partial-success) are lost as
    /// well. [Outages](crate::docs::outages) has the rules of retries.
    #[cfg(feature = "otlp")]
    Otlp,
    /// `console`: writes to stdout, as text or [as JSON](crate::Builder::console_json).
    #[cfg(feature = "console")]
    Console,
    /// `prometheus`: serves metrics for Prometheus to scrape. Metrics only.
    #[cfg(feature = "prometheus")]
    Prometheus,
}

/// The exporter of a signal without configuration: `otlp`, as the specification requires, if it is
/// compiled in.
#[cfg(feature = "otlp")]
const DEFAULT: Option<Exporter> = Some(Exporter::Otlp);
#[cfg(all(feature = "console", not(feature = "otlp")))]
const DEFAULT: Option<Exporter> = Some(Exporter::Console);
#[cfg(not(any(feature = "console", feature = "otlp")))]
const DEFAULT: Option<Exporter> = None;

impl Exporter {
    /// Returns whether the exporter reads `OTEL_METRICS_EXEMPLAR_FILTER`.
    pub(crate) fn has_exemplars(self) -> bool {
        self.as_str() == "prometheus"
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            #[cfg(feature = "otlp")]
            Exporter::Otlp => "otlp",
            #[cfg(feature = "console")]
            Exporter::Console => "console",
            #[cfg(feature = "prometheus")]
            Exporter::Prometheus => "prometheus",
        }
    }

    /// Returns the exporters of a signal: those that the program sets explicitly, else those of the
    /// environment.
    ///
    /// # Errors
    ///
    /// If an exporter is not compiled in or does not support the signal.
    pub(crate) fn resolve(
        signal: Signal,
        explicit: Option<Vec<Exporter>>,
        env: &Env,
    ) -> Result<Vec<Exporter>, InitError> {
        if let Some(exporters) = explicit {
            #[cfg(feature = "prometheus")]
            if signal != Signal::Metrics && exporters.contains(&Exporter::Prometheus) {
                return Err(InitError::new(format!(
                    "the exporter `prometheus` supports metrics only, not {signal}"
                )));
            }
            return Ok(deduplicated(exporters));
        }
        let variable = format!("OTEL_{}_EXPORTER", signal.env_name());
        let Some(list) = env.text(&variable) else {
            return Ok(Vec::from_iter(default(&variable, env)));
        };
        parse(signal, &variable, &list, env)
    }
}

/// Returns the default exporter. Warns if none is compiled in.
fn default(variable: &str, env: &Env) -> Option<Exporter> {
    if DEFAULT.is_none() {
        env.warn_unset(
            variable,
            "names no exporter, and there is no default without the Cargo features `otlp` and `console` of otel-setup; \
             using none",
        );
    }
    DEFAULT
}

/// A name in a list of exporters.
#[allow(dead_code, reason = "the Cargo features decide which variants there are")]
pub(crate) enum Name {
    Exporter(Exporter),
    /// An exporter that is not compiled in, by its Cargo feature.
    Disabled(&'static str),
    Unknown,
}

impl Name {
    pub(crate) fn parse(signal: Signal, name: &str) -> Self {
        match name {
            #[cfg(feature = "console")]
            "console" => Name::Exporter(Exporter::Console),
            #[cfg(not(feature = "console"))]
            "console" => Name::Disabled("console"),
            #[cfg(feature = "otlp")]
            "otlp" => Name::Exporter(Exporter::Otlp),
            #[cfg(not(feature = "otlp"))]
            "otlp" => Name::Disabled("otlp"),
            #[cfg(feature = "prometheus")]
            "prometheus" if signal == Signal::Metrics => Name::Exporter(Exporter::Prometheus),
            #[cfg(not(feature = "prometheus"))]
            "prometheus" if signal == Signal::Metrics => Name::Disabled("prometheus"),
            _ => Name::Unknown,
        }
    }
}

fn deduplicated(exporters: Vec<Exporter>) -> Vec<Exporter> {
    let mut unique = Vec::with_capacity(exporters.len());
    for exporter in exporters {
        if !unique.contains(&exporter) {
            unique.push(exporter);
        }
    }
    unique
}

fn parse(signal: Signal, variable: &str, list: &str, env: &Env) -> Result<Vec<Exporter>, InitError> {
    let mut exporters = Vec::new();
    let mut unknown = Vec::new();
    let mut is_none = false;
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let name = entry.to_ascii_lowercase();
        match Name::parse(signal, &name) {
            Name::Exporter(exporter) => exporters.push(exporter),
            Name::Disabled(feature) => {
                let problem = format_args!("requires the Cargo feature `{feature}` of otel-setup");
                return Err(InitError::invalid_variable(variable, list, problem));
            }
            Name::Unknown if name == "none" => is_none = true,
            Name::Unknown => unknown.push(format!("{entry:?}")),
        }
    }
    let mut exporters = deduplicated(exporters);
    if is_none && !exporters.is_empty() {
        unknown.push("\"none\" combined with others".to_owned());
    }
    if exporters.is_empty() && !is_none {
        if unknown.is_empty() {
            return Ok(Vec::from_iter(default(variable, env)));
        }
        exporters.extend(DEFAULT);
    }
    if !unknown.is_empty() {
        let used: Vec<&str> = exporters.iter().map(|exporter| exporter.as_str()).collect();
        let used = if used.is_empty() {
            "none".to_owned()
        } else {
            used.join(",")
        };
        let unknown = unknown.join(", ");
        env.warn(
            variable,
            list,
            format_args!("contains unknown exporters of {signal}: {unknown}; using {used}"),
        );
    }
    Ok(exporters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(signal: Signal, variable: &str, value: &str) -> (Vec<Exporter>, Vec<String>) {
        let env = Env::from_vars([(variable, value)]);
        let exporters = Exporter::resolve(signal, None, &env).unwrap();
        (exporters, env.into_warnings())
    }

    #[cfg(feature = "console")]
    #[test]
    fn names_are_case_insensitive_and_deduplicated() {
        for value in ["console", " Console , CONSOLE,", "console,console"] {
            let (exporters, warnings) = resolve(Signal::Traces, "OTEL_TRACES_EXPORTER", value);
            assert_eq!(exporters, [Exporter::Console], "{value:?}");
            assert_eq!(warnings, [] as [&str; 0]);
        }
    }

    #[test]
    fn none_means_no_exporter() {
        for value in ["none", "NONE", "none,none"] {
            let (exporters, warnings) = resolve(Signal::Logs, "OTEL_LOGS_EXPORTER", value);
            assert_eq!(exporters, [], "{value:?}");
            assert_eq!(warnings, [] as [&str; 0]);
        }
    }

    #[cfg(feature = "console")]
    #[test]
    fn unknown_names_are_ignored_with_a_warning() {
        let (exporters, warnings) = resolve(Signal::Traces, "OTEL_TRACES_EXPORTER", "zipkin,console,prometheus");
        assert_eq!(exporters, [Exporter::Console]);
        let expected = r#"OTEL_TRACES_EXPORTER="zipkin,console,prometheus" contains unknown exporters of traces: "zipkin", "prometheus"; using console"#;
        assert_eq!(warnings, [expected]);
        let (exporters, warnings) = resolve(Signal::Logs, "OTEL_LOGS_EXPORTER", "loki");
        assert_eq!(exporters, Vec::from_iter(DEFAULT));
        assert_eq!(warnings.len(), 1);
        let (exporters, warnings) = resolve(Signal::Logs, "OTEL_LOGS_EXPORTER", "none,console");
        assert_eq!(exporters, [Exporter::Console]);
        assert!(warnings[0].contains("\"none\" combined with others"), "{warnings:?}");
    }

    #[cfg(feature = "console")]
    #[test]
    fn the_program_takes_precedence() {
        let env = Env::from_vars([("OTEL_TRACES_EXPORTER", "zipkin")]);
        let twice = vec![Exporter::Console, Exporter::Console];
        assert_eq!(
            Exporter::resolve(Signal::Traces, Some(twice), &env).unwrap(),
            [Exporter::Console]
        );
        assert_eq!(Exporter::resolve(Signal::Traces, Some(vec![]), &env).unwrap(), []);
        assert_eq!(env.into_warnings(), [] as [&str; 0], "the variable is not read");
    }

    #[test]
    fn an_exporter_that_is_not_compiled_in_is_an_error() {
        for (feature, is_enabled) in [("console", cfg!(feature = "console")), ("otlp", cfg!(feature = "otlp"))] {
            let env = Env::from_vars([("OTEL_TRACES_EXPORTER", feature)]);
            let exporters = Exporter::resolve(Signal::Traces, None, &env);
            let message = exporters.map_err(|error| error.to_string()).err();
            let expected =
                format!(r#"OTEL_TRACES_EXPORTER="{feature}" requires the Cargo feature `{feature}` of otel-setup"#);
            assert_eq!(message, (!is_enabled).then_some(expected));
        }
    }

    #[test]
    fn an_empty_list_is_the_default_or_a_warning() {
        for value in ["", ",", " "] {
            let (exporters, warnings) = resolve(Signal::Metrics, "OTEL_METRICS_EXPORTER", value);
            assert_eq!(exporters, Vec::from_iter(DEFAULT), "{value:?}");
            let expected = "OTEL_METRICS_EXPORTER names no exporter, and there is no default without the Cargo features \
                `otlp` and `console` of otel-setup; using none";
            assert_eq!(
                warnings,
                Vec::from_iter(DEFAULT.is_none().then_some(expected)),
                "{value:?}"
            );
        }
    }

    #[cfg(feature = "prometheus")]
    #[test]
    fn prometheus_supports_metrics_only() {
        let (exporters, _) = resolve(Signal::Metrics, "OTEL_METRICS_EXPORTER", "prometheus");
        assert_eq!(exporters, [Exporter::Prometheus]);
        let env = Env::from_vars([]);
        let error = Exporter::resolve(Signal::Logs, Some(vec![Exporter::Prometheus]), &env).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the exporter `prometheus` supports metrics only, not logs"
        );
    }
}
