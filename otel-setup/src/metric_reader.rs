//! A reader of metrics that collects on request.

use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};

/// A reader whose clones share what they collect: the meter provider has one, and the scrape
/// endpoint, the zPages or a test another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    reader: Arc<ManualReader>,
    /// The default is cumulative, as the specification of the exporter `prometheus` requires.
    temporality: Temporality,
}

impl Reader {
    /// Creates a reader that collects what has been recorded since its last collection.
    ///
    /// Sums that may go down are collected as they are, as OTLP's preference `delta` says.
    #[cfg(feature = "testing")]
    pub(crate) fn delta() -> Self {
        Reader {
            reader: Arc::default(),
            temporality: Temporality::Delta,
        }
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.reader.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.reader.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.reader.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.reader.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        match kind {
            InstrumentKind::UpDownCounter | InstrumentKind::ObservableUpDownCounter => Temporality::Cumulative,
            _ => self.temporality,
        }
    }
}
