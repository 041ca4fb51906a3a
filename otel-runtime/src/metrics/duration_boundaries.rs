//! The histogram buckets of durations.

use std::sync::OnceLock;

use crate::semconv;

/// Histogram buckets for durations, in seconds, as gRPC's own plugins use them ([gRFC A66]).
///
/// The buckets are finer than those of the semantic conventions.
///
/// [gRFC A66]: https://github.com/grpc/proposal/blob/master/A66-otel-stats.md
///
/// # Example
///
/// ```
/// use otel_runtime::{GRPC_DURATION_BOUNDARIES, Instrumentation};
///
/// let instrumentation = Instrumentation::builder().duration_boundaries(GRPC_DURATION_BOUNDARIES).build();
/// # let _ = instrumentation;
/// ```
pub const GRPC_DURATION_BOUNDARIES: [f64; 41] = [
    0.0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01,
    0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8,
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0,
];

/// The boundaries of a configuration file.
static CONFIGURED: OnceLock<Vec<f64>> = OnceLock::new();

/// Sets the boundaries of an instrumentation that has none of its own, in seconds. Call it before
/// the first RPC.
pub fn set_duration_boundaries(boundaries: Vec<f64>) {
    // The first call counts: telemetry is set up once.
    let _ = CONFIGURED.set(boundaries);
}

/// Returns the boundaries of the configuration file, else those of the semantic conventions.
pub(crate) fn default() -> Vec<f64> {
    let configured = CONFIGURED.get().cloned();
    configured.unwrap_or_else(|| semconv::DURATION_BOUNDARIES.to_vec())
}
