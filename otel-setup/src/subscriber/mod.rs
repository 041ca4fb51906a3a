//! The `tracing` subscriber: events become log records and lines on stdout, spans become
//! OpenTelemetry spans.

mod directives;
mod event;
mod filters;
mod guarded;
#[cfg(feature = "json")]
mod json;
mod layers;
mod pretty;
mod registered;
mod spec_logger;
mod stdout_logs;

pub(crate) use directives::Directives;
pub(crate) use layers::Layers;
pub use stdout_logs::StdoutLogs;

use tracing_log::{AsLog, LogTracer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use crate::error::InitError;

/// Installs the layers as the global subscriber, and the `log` crate's records as its events.
///
/// # Errors
///
/// If a global subscriber is already set.
pub(crate) fn install(layers: &Layers) -> Result<(), InitError> {
    let subscriber = tracing_subscriber::registry()
        .with(layers.logs())
        .with(layers.spans())
        .with(layers.stdout());
    tracing::subscriber::set_global_default(subscriber).map_err(|error| {
        let message = "a global `tracing` subscriber is already set; either call `otel_setup::init()` once and set no other, or \
            call `let telemetry = otel_setup::builder().without_subscriber().init()?;` first and add its layers to yours: \
            `.with(telemetry.logs_layer()).with(telemetry.spans_layer())`";
        InitError::new(message).with_source(error)
    })?;
    let log_tracer = LogTracer::builder().with_max_level(LevelFilter::current().as_log());
    // Fails if the program has set another logger, which then receives the records.
    let _ = log_tracer.init();
    Ok(())
}
