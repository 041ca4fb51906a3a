//! Traces, metrics and logs with one line, by the variables that OpenTelemetry's specification has for it.

#[cfg(feature = "otlp")]
mod background;
mod batches;
mod builder;
mod environment;
mod error;
mod exporter;
mod init;
mod logs;
mod metrics;
mod noise;
#[cfg(feature = "otlp")]
mod otlp;
mod resource;
mod shutdown;
mod signal;
mod subscriber;
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
mod tally;
mod traces;
mod unsupported;

use std::sync::Arc;

use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

pub use self::builder::Builder;
pub use self::error::InitError;
pub use self::exporter::Exporter;
#[cfg(feature = "otlp")]
pub use self::otlp::Protocol;
use self::shutdown::Progress;
pub use self::shutdown::ShutdownError;
pub use self::signal::Signal;
use self::subscriber::Layers;
pub use self::subscriber::LogLines;
use self::tally::Tally;

/// Sets up traces, metrics and logs as the environment says.
///
/// It is [`builder()`](builder)`.init()`.
///
/// # Errors
///
/// Where what the environment asks for cannot be had: see [`Builder::init`].
pub fn init() -> Result<Telemetry, InitError> {
    builder().init()
}

/// Sets up traces, metrics and logs as the program says, and the environment where the program says nothing.
pub fn builder() -> Builder {
    Builder::default()
}

/// Telemetry that has been set up, to be kept as long as the service runs.
///
/// Dropping it sends out what is still there, and waits for that up to five seconds; [`shutdown`](Self::shutdown) says how it went.
#[must_use = "telemetry ends when this is dropped"]
#[derive(Debug)]
pub struct Telemetry {
    providers: Arc<Providers>,
    layers: Layers,
}

/// What is there to be shut down: `None` is a signal that goes nowhere.
#[derive(Debug, Default)]
struct Providers {
    tracers: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    loggers: Option<SdkLoggerProvider>,
    /// The books of those that go to an OTLP receiver.
    tallies: Vec<Arc<Tally>>,
    shutdown: Progress,
}
