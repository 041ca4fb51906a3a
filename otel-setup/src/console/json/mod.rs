//! Formats telemetry as JSON, one object per line. The module `console` documents the members.

mod logs;
mod metrics;
mod objects;
mod spans;
mod values;

pub(super) use logs::logs;
pub(super) use metrics::metrics;
pub(super) use spans::spans;
pub(super) use values::value;
