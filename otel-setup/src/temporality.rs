//! The temporality of sums and histograms that exporters prefer.

use opentelemetry_sdk::metrics::Temporality;

use crate::env::Env;

/// The variable of the exporter `otlp`.
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
pub(crate) const OTLP: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";

/// The setting of the exporter `console` in a configuration file. No variable is specified.
#[cfg_attr(not(feature = "console"), allow(dead_code))]
pub(crate) const CONSOLE: &str = "console.temporality_preference";

/// Returns the temporality of sums and histograms: cumulative since the start, or the delta since
/// the last export.
pub(crate) fn temporality(name: &str, env: &Env) -> Temporality {
    let known = [
        ("cumulative", Temporality::Cumulative),
        ("delta", Temporality::Delta),
        ("lowmemory", Temporality::LowMemory),
    ];
    let temporality = env.one_of(name, &known, "cumulative");
    temporality.unwrap_or(Temporality::Cumulative)
}
