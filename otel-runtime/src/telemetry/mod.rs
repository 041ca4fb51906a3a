//! Gets a service's telemetry out.

pub mod console;
#[cfg(feature = "telemetry")]
mod set_up;

#[cfg(feature = "otlp")]
pub use set_up::Protocol;
#[cfg(feature = "telemetry")]
pub use set_up::{Builder, Exporter, InitError, LogLines, ShutdownError, Signal, Telemetry, builder, init};
