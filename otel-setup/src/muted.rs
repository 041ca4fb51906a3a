//! Events of the SDK that are neither logged nor exported.

use tracing::Metadata;

/// Returns true for SDK log events that duplicate our own warnings or that a remote caller can
/// trigger at will.
///
/// Spans and records after a shutdown would be logged one by one. If a program uses the SDK's
/// propagator, a baggage header with malformed members causes one event per member, each with the
/// whole header.
pub(crate) fn is_muted(metadata: &Metadata<'_>) -> bool {
    const NAMES: [&str; 8] = [
        "BaggagePropagator.Extract.HeaderTooLarge",
        "BaggagePropagator.Extract.InvalidFormat",
        "BaggagePropagator.Extract.InvalidKeyValueFormat",
        "BaggagePropagator.Extract.InvalidUTF8",
        "SimpleSpanProcessor.OnEnd.AfterShutdown",
        // The setup reads the same variables and warns by itself.
        "Exporter.Config.InvalidEnvironmentVariable",
        "MeterProvider.GlobalSet",
        "TracerProvider.GlobalSet",
    ];
    NAMES.contains(&metadata.name())
}
