//! Where a signal goes.

use crate::env::Env;
use crate::error::InitError;
use crate::signal::Signal;

/// Where a signal goes: what `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` and `OTEL_LOGS_EXPORTER` name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exporter {
    /// `otlp`: to a collector, or whatever else speaks the [OpenTelemetry protocol](https://opentelemetry.io/docs/specs/otlp/).
    ///
    /// These variables have a form for all signals, and one for each that goes before it: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, say. What is empty counts as unset.
    ///
    /// | `OTEL_EXPORTER_OTLP_…` | default | meaning |
    /// |---|---|---|
    /// | `PROTOCOL` | `grpc` | or `http/protobuf`: see [`Protocol`](crate::Protocol) |
    /// | `ENDPOINT` | `http://localhost:4317`, for `http/protobuf` `:4318` | over HTTP, `/v1/traces`, `/v1/metrics` and `/v1/logs` are appended to the general one; a signal's own is taken as it stands |
    /// | `HEADERS` | none | `name=value,name=value`, with values percent-encoded: a key for whoever receives it, say |
    /// | `TIMEOUT` | `10000` | milliseconds for a batch, with all attempts to send it |
    /// | `COMPRESSION` | `none` | or `gzip` |
    /// | `INSECURE` | `false` | whether a gRPC endpoint without a scheme, such as `collector:4317`, is `http` |
    /// | `CERTIFICATE` | those that the system trusts | a PEM file with the certificates to trust |
    /// | `CLIENT_CERTIFICATE`, `CLIENT_KEY` | none | PEM files with a certificate of one's own, and its key |
    /// | `METRICS_TEMPORALITY_PREFERENCE` | `cumulative` | or `delta`, or `lowmemory` |
    ///
    /// `https` needs the cargo feature `tls`.
    ///
    /// BatchSettings are sent from threads of their own, so a receiver that is slow, or not there, costs the service no time, and no memory beyond the queues: 2048 spans and 2048 log records
    /// (`OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BLRP_MAX_QUEUE_SIZE`), a batch of each, and the metrics of one export. What finds a queue full is lost. A receiver that fails is told of
    /// once, with a warning, and so is that it works again; [`shutdown`](crate::Telemetry::shutdown) says how much was lost in all.
    ///
    /// A receiver may take a message and [reject a part](https://opentelemetry.io/docs/specs/otlp/#partial-success) of it: the official exporter logs that, and what is rejected counts as arrived.
    #[cfg(feature = "otlp")]
    Otlp,
    /// `console`: to stdout, for people, or [as JSON](crate::Builder::console_json).
    #[cfg(feature = "console")]
    Console,
    /// `prometheus`: metrics only, to be scraped.
    #[cfg(feature = "prometheus")]
    Prometheus,
}

/// The exporter of a signal for which none is configured: the specification's, if it is compiled in.
#[cfg(feature = "otlp")]
const DEFAULT: Option<Exporter> = Some(Exporter::Otlp);
#[cfg(all(feature = "console", not(feature = "otlp")))]
const DEFAULT: Option<Exporter> = Some(Exporter::Console);
#[cfg(not(any(feature = "console", feature = "otlp")))]
const DEFAULT: Option<Exporter> = None;

impl Exporter {
    fn as_str(self) -> &'static str {
        match self {
            #[cfg(feature = "otlp")]
            Exporter::Otlp => "otlp",
            #[cfg(feature = "console")]
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
    pub(crate) fn resolve(
        signal: Signal,
        explicit: Option<Vec<Exporter>>,
        env: &Env,
    ) -> Result<Vec<Exporter>, InitError> {
        if let Some(exporters) = explicit {
            #[cfg(feature = "prometheus")]
            if signal != Signal::Metrics && exporters.contains(&Exporter::Prometheus) {
                return Err(InitError::new(format!("Prometheus takes metrics, no {signal}")));
            }
            return Ok(each_once(exporters));
        }
        let variable = format!("OTEL_{}_EXPORTER", signal.env_name());
        let Some(list) = env.text(&variable) else {
            return Ok(Vec::from_iter(default(&variable, env)));
        };
        parse(signal, &variable, &list, env)
    }
}

/// Returns the default exporter, or records that none is compiled in.
fn default(variable: &str, env: &Env) -> Option<Exporter> {
    if DEFAULT.is_none() {
        env.warn_unset(
            variable,
            "names no exporter, and there is no default without the cargo features `otlp` and `console` of otel-setup; \
             used instead: none",
        );
    }
    DEFAULT
}

/// A name in a list of exporters.
#[allow(dead_code, reason = "the Cargo features decide which variants there are")]
enum Name {
    Exporter(Exporter),
    /// An exporter that is not compiled in, by its Cargo feature.
    Disabled(&'static str),
    Unknown,
}

impl Name {
    fn parse(signal: Signal, name: &str) -> Self {
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

fn each_once(exporters: Vec<Exporter>) -> Vec<Exporter> {
    let mut once = Vec::with_capacity(exporters.len());
    for exporter in exporters {
        if !once.contains(&exporter) {
            once.push(exporter);
        }
    }
    once
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
                let what = format_args!("needs the cargo feature `{feature}` of otel-setup");
                return Err(InitError::invalid_variable(variable, list, what));
            }
            Name::Unknown if name == "none" => is_none = true,
            Name::Unknown => unknown.push(format!("{entry:?}")),
        }
    }
    let mut exporters = each_once(exporters);
    if is_none && !exporters.is_empty() {
        unknown.push("\"none\" beside others".to_owned());
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
            format_args!("names exporters of {signal} that are not known: {unknown}; used instead: {used}"),
        );
    }
    Ok(exporters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(signal: Signal, variable: &str, value: &str) -> (Vec<Exporter>, Vec<String>) {
        let env = Env::from_vars([(variable, value)]);
        let exporters = Exporter::resolve(signal, None, &env).unwrap();
        (exporters, env.into_warnings())
    }

    #[cfg(feature = "console")]
    #[test]
    fn names_are_case_insensitive_and_deduplicated() {
        for value in ["console", " Console , CONSOLE,", "console,console"] {
            let (exporters, warnings) = of(Signal::Traces, "OTEL_TRACES_EXPORTER", value);
            assert_eq!(exporters, [Exporter::Console], "{value:?}");
            assert_eq!(warnings, [] as [&str; 0]);
        }
    }

    #[test]
    fn none_means_no_exporter() {
        for value in ["none", "NONE", "none,none"] {
            let (exporters, warnings) = of(Signal::Logs, "OTEL_LOGS_EXPORTER", value);
            assert_eq!(exporters, [], "{value:?}");
            assert_eq!(warnings, [] as [&str; 0]);
        }
    }

    #[cfg(feature = "console")]
    #[test]
    fn an_unknown_name_is_told_and_left_out() {
        let (exporters, warnings) = of(Signal::Traces, "OTEL_TRACES_EXPORTER", "zipkin,console,prometheus");
        assert_eq!(exporters, [Exporter::Console]);
        let expected = r#"OTEL_TRACES_EXPORTER="zipkin,console,prometheus" names exporters of traces that are not known: "zipkin", "prometheus"; used instead: console"#;
        assert_eq!(warnings, [expected]);
        let (exporters, warnings) = of(Signal::Logs, "OTEL_LOGS_EXPORTER", "loki");
        assert_eq!(exporters, Vec::from_iter(DEFAULT));
        assert_eq!(warnings.len(), 1);
        let (exporters, warnings) = of(Signal::Logs, "OTEL_LOGS_EXPORTER", "none,console");
        assert_eq!(exporters, [Exporter::Console]);
        assert!(warnings[0].contains("\"none\" beside others"), "{warnings:?}");
    }

    #[cfg(feature = "console")]
    #[test]
    fn the_program_has_the_first_word() {
        let env = Env::from_vars([("OTEL_TRACES_EXPORTER", "zipkin")]);
        let twice = vec![Exporter::Console, Exporter::Console];
        assert_eq!(
            Exporter::resolve(Signal::Traces, Some(twice), &env).unwrap(),
            [Exporter::Console]
        );
        assert_eq!(Exporter::resolve(Signal::Traces, Some(vec![]), &env).unwrap(), []);
        assert_eq!(env.into_warnings(), [] as [&str; 0], "what is not read is not told");
    }

    #[test]
    fn an_exporter_that_is_not_compiled_in_is_an_error() {
        for (feature, is_enabled) in [("console", cfg!(feature = "console")), ("otlp", cfg!(feature = "otlp"))] {
            let env = Env::from_vars([("OTEL_TRACES_EXPORTER", feature)]);
            let exporters = Exporter::resolve(Signal::Traces, None, &env);
            let message = exporters.map_err(|error| error.to_string()).err();
            let expected =
                format!(r#"OTEL_TRACES_EXPORTER="{feature}" needs the cargo feature `{feature}` of otel-setup"#);
            assert_eq!(message, (!is_enabled).then_some(expected));
        }
    }

    #[test]
    fn an_empty_list_is_the_default_or_a_warning() {
        for value in ["", ",", " "] {
            let (exporters, warnings) = of(Signal::Metrics, "OTEL_METRICS_EXPORTER", value);
            assert_eq!(exporters, Vec::from_iter(DEFAULT), "{value:?}");
            let expected = "OTEL_METRICS_EXPORTER names no exporter, and there is no default without the cargo features \
                `otlp` and `console` of otel-setup; used instead: none";
            assert_eq!(
                warnings,
                Vec::from_iter(DEFAULT.is_none().then_some(expected)),
                "{value:?}"
            );
        }
    }

    #[cfg(feature = "prometheus")]
    #[test]
    fn prometheus_takes_metrics() {
        let (exporters, _) = of(Signal::Metrics, "OTEL_METRICS_EXPORTER", "prometheus");
        assert_eq!(exporters, [Exporter::Prometheus]);
        let env = Env::from_vars([]);
        let error = Exporter::resolve(Signal::Logs, Some(vec![Exporter::Prometheus]), &env).unwrap_err();
        assert_eq!(error.to_string(), "Prometheus takes metrics, no logs");
    }
}
