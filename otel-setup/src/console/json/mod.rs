//! Formats telemetry as JSON, one object per line. The module `console` documents the members.

mod logs;
mod metrics;
mod objects;
mod spans;
mod values;

pub(super) use logs::logs;
pub(super) use metrics::metrics;
#[cfg(feature = "zpages")]
pub(crate) use spans::span;
pub(super) use spans::spans;
pub(super) use values::value;
