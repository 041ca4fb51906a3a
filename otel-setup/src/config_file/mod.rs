//! `OTEL_CONFIG_FILE`: OpenTelemetry's declarative configuration.
//!
//! [`yaml`] and [`substitution`] read a file, [`section`] gives typed access to it, and a module
//! for each section turns it into what the setup takes: exporters with the variables that mean the
//! same, a sampler, views.
//!
//! [Specification](https://opentelemetry.io/docs/specs/otel/configuration/data-model/) and
//! [schema](https://github.com/open-telemetry/opentelemetry-configuration)

mod build;
mod check;
mod distribution;
mod exporters;
mod instrumentation;
mod layers;
mod limits;
mod logger_provider;
mod meter_provider;
mod node;
mod prometheus;
mod propagators;
mod resource;
mod samplers;
mod scalar;
mod section;
mod substitution;
#[cfg(all(test, feature = "console", feature = "otlp"))]
mod tests;
mod tracer_provider;
mod views;
mod yaml;

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::Path;
use std::{env, fs};

use opentelemetry::KeyValue;

pub use self::check::{ConfigReport, check};
use self::distribution::Distribution;
use self::exporters::Pipeline;
use self::instrumentation::Instrumentation;
use self::meter_provider::Metrics;
use self::section::{File, Item};
use self::tracer_provider::Traces;
use crate::env::{Env, EnvPairs};
use crate::error::InitError;
use crate::text::escape_control;

/// The major version of the schema.
const MAJOR: u32 = 1;
/// The latest minor version that is known here.
const MINOR: u32 = 2;

/// The names of severities in the schema.
const LOG_LEVELS: [&str; 24] = [
    "trace", "trace2", "trace3", "trace4", "debug", "debug2", "debug3", "debug4", "info", "info2", "info3", "info4",
    "warn", "warn2", "warn3", "warn4", "error", "error2", "error3", "error4", "fatal", "fatal2", "fatal3", "fatal4",
];

/// The content of a configuration file.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) is_disabled: bool,
    /// The names of propagators, as `OTEL_PROPAGATORS` has them.
    pub(crate) propagators: String,
    pub(crate) instrumentation: Instrumentation,
    #[cfg_attr(
        not(feature = "zpages"),
        allow(dead_code, reason = "it has only settings of features")
    )]
    distribution: Distribution,
    resource: Vec<KeyValue>,
    traces: Option<Traces>,
    metrics: Option<Metrics>,
    logs: Option<Vec<Pipeline>>,
    /// The settings of exporters in code: those of the environment are ignored.
    none: Env,
    warnings: Vec<String>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is no YAML, or does not follow the schema. The message names the
    /// place.
    pub(crate) fn load(path: &Path) -> Result<Self, InitError> {
        let shown = path.to_string_lossy();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some("yaml" | "yml")) {
            return Err(InitError::new(format!(
                "the configuration file {shown:?} must end in .yaml or .yml"
            )));
        }
        let text = fs::read_to_string(path).map_err(|error| {
            InitError::new(format!("cannot read the configuration file {shown:?}: {error}")).with_source(error)
        })?;
        Config::parse(&shown, &text, &|name| env::var_os(name))
    }

    pub(crate) fn parse(name: &str, text: &str, lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, InitError> {
        let root = yaml::parse(text, lookup)
            .map_err(|problem| InitError::new(escape_control(&format!("{name}: {problem}")).into_owned()))?;
        let file = File {
            name: name.to_owned(),
            warnings: RefCell::default(),
        };
        let mut config = read(&Item::root(&file, &root))?;
        config.warnings = file.warnings.into_inner();
        Ok(config)
    }
}

fn read(root: &Item<'_>) -> Result<Config, InitError> {
    let mut section = root.section()?;
    check_version(&section.required("file_format")?)?;
    let is_disabled = section.get("disabled").map(|item| item.boolean()).transpose()?;
    if let Some(level) = section.get("log_level")
        && level.one_of(&LOG_LEVELS.map(|name| (name, name)))? != "info"
    {
        level.warn("is not supported; RUST_LOG filters the SDK's own messages");
    }
    let general_limit = limits::general(section.get("attribute_limits"))?;
    let config = Config {
        is_disabled: is_disabled.unwrap_or_default(),
        propagators: propagators::names(section.get("propagator"))?,
        resource: resource::attributes(section.get("resource"))?,
        traces: section
            .get("tracer_provider")
            .map(|item| tracer_provider::read(&item, general_limit))
            .transpose()?,
        metrics: section
            .get("meter_provider")
            .map(|item| meter_provider::read(&item))
            .transpose()?,
        logs: section
            .get("logger_provider")
            .map(|item| logger_provider::read(&item))
            .transpose()?,
        instrumentation: instrumentation::read(section.get("instrumentation/development"))?,
        distribution: distribution::read(section.get("distribution"))?,
        none: EnvPairs::default().into_env(),
        warnings: Vec::new(),
    };
    // The schema allows others here.
    section.ignore_others();
    Ok(config)
}

/// Checks the version of the schema: another major version is an error, a later minor version may
/// have properties that are not known here.
fn check_version(item: &Item<'_>) -> Result<(), InitError> {
    let text = item
        .text()
        .map_err(|_| item.error("must be a string, such as \"1.0\""))?;
    let number = text.split_once('-').map_or(text, |(number, _)| number);
    let version = number.split_once('.').and_then(|(major, minor)| {
        let version: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        Some(version)
    });
    match version {
        Some((MAJOR, MINOR..)) if version > Some((MAJOR, MINOR)) => {
            item.warn(format_args!(
                "is {text:?}, but {MAJOR}.{MINOR} is the latest version known here"
            ));
            Ok(())
        }
        Some((MAJOR, _)) => Ok(()),
        _ => Err(item.error(format_args!(
            "is {text:?}, but only the versions {MAJOR}.* are supported; write \"{MAJOR}.0\""
        ))),
    }
}
