//! The `tracing` subscriber: events become log records and lines on stdout, spans become spans.

mod directives;
mod event;
mod filters;
mod json;
mod layers;
mod pretty;
mod spec_logger;
mod stdout_logs;

pub(crate) use directives::Directives;
pub(crate) use layers::Layers;
pub use stdout_logs::StdoutLogs;

use tracing_log::{AsLog, LogTracer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use crate::error::InitError;

/// Makes these layers the subscriber of all of the process.
///
/// # Errors
///
/// Where there is one.
pub(crate) fn install(layers: &Layers) -> Result<(), InitError> {
    let subscriber = tracing_subscriber::registry()
        .with(layers.logs())
        .with(layers.spans())
        .with(layers.lines());
    tracing::subscriber::set_global_default(subscriber).map_err(|error| {
        let message = "there is a `tracing` subscriber already. Either leave it to `otel_setup::init()`, called once, or write \
            `let telemetry = otel_setup::builder().without_subscriber().init()?;` before it, and give it the layers \
            `.with(telemetry.logs_layer()).with(telemetry.spans_layer())`";
        InitError::new(message).with_source(error)
    })?;
    let of_log = LogTracer::builder().with_max_level(LevelFilter::current().as_log());
    // It fails where the program has a logger of its own, which keeps its records.
    let _ = of_log.init();
    Ok(())
}
