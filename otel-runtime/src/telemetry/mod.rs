//! Gets a service's telemetry out.

pub mod console;
