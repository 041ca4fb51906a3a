//! What is not worth telling.

use tracing::Metadata;

/// Whether an event says what is said elsewhere already, and once, where the OTLP exporters say it again with each batch; that the set-up has done what it is there for; or what a caller wants to be
/// said, as often and as long as it likes: of malformed baggage there is an event with the whole header for each of its members.
pub(crate) fn is_muted(metadata: &Metadata<'_>) -> bool {
    const NAMES: [&str; 11] = [
        "BaggagePropagator.Extract.HeaderTooLarge",
        "BaggagePropagator.Extract.InvalidFormat",
        "BaggagePropagator.Extract.InvalidKeyValueFormat",
        "BaggagePropagator.Extract.InvalidUTF8",
        "Export.Failed.DeadlineExceeded",
        "Export.Failed.Exhausted",
        "Export.Failed.NonRetryable",
        "Export.InProgress.Throttled",
        // Of a variable that the set-up has read itself, and warned of.
        "Exporter.Config.InvalidEnvironmentVariable",
        "MeterProvider.GlobalSet",
        "TracerProvider.GlobalSet",
    ];
    NAMES.contains(&metadata.name())
}
