// Markdown takes the first definition of a link. Those at the end of the README are for readers
// outside of rustdoc.
//! [Set-up]: docs::setup
//! [Environment variables]: docs::variables
//! [Configuration file]: docs::configuration_file
//! [Outages]: docs::outages
//! [zPages]: docs::zpages
//! [In production]: otel_runtime::docs::production
//! [All chapters of otel-runtime]: otel_runtime::docs
#![doc = include_str!("../README.md")]
// docs.rs builds with a nightly compiler.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "console", feature = "otlp"))]
mod batch;
mod builder;
mod callback_guard;
#[cfg(feature = "config-file")]
mod config_file;
#[cfg(feature = "console")]
pub mod console;
pub mod docs;
mod env;
mod error;
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
mod export_failure;
#[cfg(any(feature = "otlp", feature = "prometheus", feature = "zpages"))]
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
mod export_runtime;
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
mod export_stats;
mod exporter;
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
mod fork_check;
#[cfg(all(any(test, fuzzing), feature = "otlp"))]
#[doc(hidden)]
pub mod fuzzing;
mod guarded_processor;
mod guarded_traces;
#[cfg(any(feature = "prometheus", feature = "zpages"))]
#[cfg_attr(not(feature = "prometheus"), allow(dead_code))]
mod http_server;
mod init;
#[cfg(feature = "json")]
mod json_line;
#[cfg(any(feature = "console", feature = "otlp"))]
mod limited_spans;
mod logs;
#[cfg(any(feature = "prometheus", feature = "testing", feature = "zpages"))]
mod metric_reader;
mod metrics;
mod muted;
#[cfg(feature = "otlp")]
mod otlp;
mod panic_guard;
#[cfg(feature = "prometheus")]
mod prometheus;
mod providers;
mod resource;
mod sampler;
mod shutdown;
mod signal;
mod span_limits;
mod subscriber;
mod telemetry;
#[cfg(any(feature = "console", feature = "otlp"))]
mod temporality;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg_attr(not(feature = "console"), allow(dead_code))]
mod text;
mod threads;
mod traces;
#[cfg(any(feature = "console", feature = "otlp"))]
mod unique_keys;
mod unsupported;
#[cfg(feature = "zpages")]
mod zpages;
#[cfg(feature = "zpages")]
mod zpages_builder;

pub use builder::Builder;
#[cfg(feature = "config-file")]
pub use config_file::{ConfigReport, check};
pub use error::{InitError, ShutdownError};
pub use exporter::Exporter;
pub use guarded_processor::GuardedProcessor;
#[cfg(feature = "otlp")]
pub use otlp::Protocol;
#[cfg(feature = "prometheus")]
pub use prometheus::TranslationStrategy;
pub use signal::Signal;
pub use subscriber::StdoutLogs;
pub use telemetry::Telemetry;
pub use text::stdout_supports_color;

/// Sets up traces, metrics and logs with the settings of the environment.
///
/// Shorthand for [`builder()`](builder)`.init()`.
///
/// # Errors
///
/// If a setting is unusable: see [`Builder::init`].
pub fn init() -> Result<Telemetry, InitError> {
    builder().init()
}

/// Returns a builder, which sets up traces, metrics and logs with settings of the program and of
/// the environment.
pub fn builder() -> Builder {
    Builder::default()
}
