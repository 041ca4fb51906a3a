//! The exporters of all signals, and the processors and readers around them.
//!
//! A section becomes the variables of the specification that mean the same. So both sources have
//! one behavior.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::section::{Item, Section};
use crate::env::{Env, EnvPairs};
use crate::error::InitError;
use crate::exporter::{Exporter, Name};
use crate::signal::Signal;

/// An export without a limit, in milliseconds: 49 days.
const NO_LIMIT: i64 = u32::MAX as i64;

/// The properties of `tls` that name files.
const CERTIFICATES: [(&str, &str); 3] = [
    ("ca_file", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
    ("cert_file", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
    ("key_file", "OTEL_EXPORTER_OTLP_CLIENT_KEY"),
];

/// An exporter, with the settings of the processor or reader around it.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) exporter: Exporter,
    pub(crate) env: Env,
}

/// Reads a span processor or log record processor.
pub(super) fn processor(signal: Signal, item: &Item<'_>) -> Result<Pipeline, InitError> {
    let (kind, settings) = item.only()?;
    let mut section = settings.section()?;
    let prefix = if signal == Signal::Traces {
        "OTEL_BSP"
    } else {
        "OTEL_BLRP"
    };
    let mut variables = EnvPairs::default();
    let mut timeout = None;
    match kind {
        "batch" => {
            for (name, variable, min) in [
                ("schedule_delay", "SCHEDULE_DELAY", 0),
                ("max_queue_size", "MAX_QUEUE_SIZE", 1),
                ("max_export_batch_size", "MAX_EXPORT_BATCH_SIZE", 1),
            ] {
                let variable = format!("{prefix}_{variable}");
                variables.place(&variable, format!("{}.{name}", settings.place));
                variables.set(&variable, section.integer(name, min)?.map(|value| value.max(1)));
            }
            timeout = section.integer("export_timeout", 0)?;
        }
        "simple" => {
            settings.warn("is exported in batches, ten times a second");
            variables.set(&format!("{prefix}_SCHEDULE_DELAY"), Some(100));
        }
        _ => return Err(settings.error("is not a known processor; known are batch, simple")),
    }
    let exporter = section.required("exporter")?;
    section.finish()?;
    read_exporter(signal, &exporter, timeout, variables)
}

/// Reads an exporter, whose timeout is at most that of its processor or reader.
pub(super) fn read_exporter(
    signal: Signal,
    item: &Item<'_>,
    timeout: Option<i64>,
    mut variables: EnvPairs,
) -> Result<Pipeline, InitError> {
    let (kind, settings) = item.only()?;
    let name = match kind {
        "otlp_grpc" | "otlp_http" => "otlp",
        "prometheus/development" => "prometheus",
        "console" => "console",
        _ => "",
    };
    let exporter = match Name::parse(signal, name) {
        Name::Exporter(exporter) => exporter,
        Name::Disabled(feature) => {
            return Err(settings.error(format_args!("requires the Cargo feature `{feature}` of otel-setup")));
        }
        Name::Unknown => {
            return Err(settings
                .error("is not an exporter that is supported here; supported are otlp_grpc, otlp_http, console"));
        }
    };
    let mut section = settings.section()?;
    match name {
        "otlp" => otlp(signal, kind, &mut section, timeout, &mut variables)?,
        "console" if signal == Signal::Metrics => {
            #[cfg(feature = "console")]
            temporality(&mut section, crate::temporality::CONSOLE, &mut variables)?;
            histogram_aggregation(&mut section)?;
        }
        _ => {}
    }
    if name != "prometheus" {
        section.finish()?;
    }
    Ok(Pipeline {
        exporter,
        env: variables.into_env(),
    })
}

fn otlp(
    signal: Signal,
    kind: &str,
    section: &mut Section<'_>,
    processor_timeout: Option<i64>,
    variables: &mut EnvPairs,
) -> Result<(), InitError> {
    let variable = |name: &str| format!("OTEL_EXPORTER_OTLP_{name}");
    let place = section.item.place.clone();
    let is_grpc = kind == "otlp_grpc";
    variables.place(&variable("PROTOCOL"), place.clone());
    variables.set(
        &variable("PROTOCOL"),
        Some(if is_grpc { "grpc" } else { "http/protobuf" }),
    );
    // Over HTTP, nothing is appended to the variable of a signal.
    let endpoint = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.env_name());
    variables.place(&endpoint, format!("{place}.endpoint"));
    variables.place(&variable("ENDPOINT"), format!("{place}.endpoint"));
    variables.set(&endpoint, section.text("endpoint")?);

    variables.place(&variable("HEADERS"), format!("{place}.headers"));
    variables.set(&variable("HEADERS"), headers(section)?);
    let known = [("gzip", "gzip"), ("none", "none")];
    let compression = section.get("compression").map(|item| item.one_of(&known)).transpose()?;
    variables.place(&variable("COMPRESSION"), format!("{place}.compression"));
    variables.set(&variable("COMPRESSION"), compression);

    let limit = |timeout: i64| if timeout == 0 { NO_LIMIT } else { timeout };
    let timeout = limit(section.integer("timeout", 0)?.unwrap_or(10_000));
    let timeout = processor_timeout.map_or(timeout, |other| timeout.min(limit(other)));
    variables.set(&variable("TIMEOUT"), Some(timeout));

    for (name, variable) in CERTIFICATES {
        variables.place(variable, format!("{place}.tls.{name}"));
    }
    if let Some(item) = section.get("tls") {
        tls(&item, is_grpc, variables)?;
    }
    if !is_grpc && let Some(item) = section.get("encoding") {
        item.one_of(&[("protobuf", ())])?;
    }
    section.unsupported("max_request_size");
    section.unsupported("max_response_size");
    if signal == Signal::Metrics {
        #[cfg(feature = "otlp")]
        temporality(section, crate::temporality::OTLP, variables)?;
        histogram_aggregation(section)?;
    }
    Ok(())
}

fn histogram_aggregation(section: &mut Section<'_>) -> Result<(), InitError> {
    let Some(item) = section.get("default_histogram_aggregation") else {
        return Ok(());
    };
    let known = [
        ("explicit_bucket_histogram", true),
        ("base2_exponential_bucket_histogram", false),
    ];
    if !item.one_of(&known)? {
        item.warn("is not supported by OpenTelemetry's SDK for Rust; use a view");
    }
    Ok(())
}

#[cfg(any(feature = "console", feature = "otlp"))]
fn temporality(section: &mut Section<'_>, name: &str, variables: &mut EnvPairs) -> Result<(), InitError> {
    let known = [
        ("cumulative", "cumulative"),
        ("delta", "delta"),
        ("low_memory", "lowmemory"),
    ];
    let item = section.get("temporality_preference");
    let temporality = item.map(|item| item.one_of(&known)).transpose()?;
    variables.set(name, temporality);
    Ok(())
}

/// Returns the headers in the format of the variable, where later ones replace earlier ones.
fn headers(section: &mut Section<'_>) -> Result<Option<String>, InitError> {
    let mut headers = Vec::new();
    if let Some(list) = section.get("headers_list") {
        #[cfg(feature = "otlp")]
        if let Some(number) = crate::otlp::headers::first_invalid(list.text()?) {
            return Err(list.error(format_args!("has an invalid or reserved header as entry {number}")));
        }
        headers.push(list.text()?.to_owned());
    }
    if let Some(list) = section.get("headers") {
        for item in list.list()? {
            let mut pair = item.section()?;
            let name = pair.required("name")?.text()?;
            let value = pair.required("value")?;
            pair.finish()?;
            if !value.is_null() {
                #[cfg(feature = "otlp")]
                if !crate::otlp::headers::is_valid(name, value.text()?) {
                    return Err(item.error("is an invalid or reserved header"));
                }
                let value = utf8_percent_encode(value.text()?, NON_ALPHANUMERIC);
                headers.push(format!("{name}={value}"));
            }
        }
    }
    Ok((!headers.is_empty()).then(|| headers.join(",")))
}

fn tls(item: &Item<'_>, is_grpc: bool, variables: &mut EnvPairs) -> Result<(), InitError> {
    let mut section = item.section()?;
    for (name, variable) in CERTIFICATES {
        if let Some(path) = section.get(name) {
            if !std::path::Path::new(path.text()?).is_absolute() {
                return Err(path.error("must be an absolute path"));
            }
            variables.set(variable, Some(path.text()?));
        }
    }
    if is_grpc {
        let insecure = section.get("insecure").map(|item| item.boolean()).transpose()?;
        variables.set("OTEL_EXPORTER_OTLP_INSECURE", insecure);
    }
    section.finish()
}
