//! Telemetry as JSON, one object a line. The fields are in the module's documentation.

mod logs;
mod metrics;
mod objects;
mod spans;
mod values;

pub(super) use logs::logs;
pub(super) use metrics::metrics;
pub(super) use spans::spans;
pub(super) use values::value;
