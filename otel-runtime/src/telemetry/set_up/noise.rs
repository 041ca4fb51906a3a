//! What is not worth telling.

use tracing::Metadata;

/// Whether an event says what the exporters say themselves, and once: the SDK says it again with each batch.
pub(super) fn is_noise(metadata: &Metadata<'_>) -> bool {
    const NAMES: [&str; 3] = [
        "BatchLogProcessor.ExportError",
        "BatchSpanProcessor.ExportError",
        "PeriodicReader.ExportError",
    ];
    NAMES.contains(&metadata.name())
}
