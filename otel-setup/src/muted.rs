//! Events of the SDK that are neither logged nor exported.

use tracing::Metadata;

/// Returns true for SDK log events that duplicate our own warnings or that a remote caller can
/// trigger at will.
///
/// Nobody else logs failed exports: [`ExportStats`](crate::export_stats::ExportStats) does. If a program uses the SDK's propagator, a baggage header with malformed
/// members causes one event per member, each with the whole header.
pub(crate) fn is_muted(metadata: &Metadata<'_>) -> bool {
    const NAMES: [&str; 10] = [
        "BaggagePropagator.Extract.HeaderTooLarge",
        "BaggagePropagator.Extract.InvalidFormat",
        "BaggagePropagator.Extract.InvalidKeyValueFormat",
        "BaggagePropagator.Extract.InvalidUTF8",
        // Each span and each record after a shutdown.
        "BatchLogProcessor.Emit.AfterShutdown",
        "BatchSpanProcessor.OnEnd.AfterShutdown",
        "SimpleSpanProcessor.OnEnd.AfterShutdown",
        // The setup reads the same variables and warns by itself.
        "Exporter.Config.InvalidEnvironmentVariable",
        "MeterProvider.GlobalSet",
        "TracerProvider.GlobalSet",
    ];
    NAMES.contains(&metadata.name())
}
