//! Traces, metrics and logs with one line, by the variables that OpenTelemetry's specification has for it.

#[cfg(any(feature = "otlp", feature = "prometheus"))]
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
mod background;
mod batches;
mod builder;
mod environment;
mod error;
mod exporter;
#[cfg(all(any(test, fuzzing), feature = "otlp"))]
pub mod fuzzing;
mod init;
mod logs;
mod metrics;
mod noise;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "prometheus")]
mod prometheus;
mod resource;
mod shutdown;
mod signal;
mod subscriber;
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
mod tally;
mod traces;
mod unsupported;

#[cfg(feature = "prometheus")]
use std::net::SocketAddr;
use std::sync::Arc;
#[cfg(feature = "prometheus")]
use std::sync::Mutex;

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

impl Telemetry {
    /// Where Prometheus can scrape this service, at `/metrics`: `None` where metrics do not go to [`Exporter::Prometheus`].
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn prometheus_address(&self) -> Option<SocketAddr> {
        self.providers.prometheus_address
    }
}

/// What is there to be shut down: `None` is a signal that goes nowhere.
#[derive(Debug, Default)]
struct Providers {
    tracers: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    loggers: Option<SdkLoggerProvider>,
    /// The books of those that go to an OTLP receiver.
    tallies: Vec<Arc<Tally>>,
    #[cfg(feature = "prometheus")]
    prometheus_address: Option<SocketAddr>,
    /// Until the shutdown.
    #[cfg(feature = "prometheus")]
    prometheus: Mutex<Option<prometheus::Endpoint>>,
    shutdown: Progress,
}
