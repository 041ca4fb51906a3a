//! A periodic reader that can be shut down before its provider.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, PeriodicReader, Pipeline, Temporality};

use crate::export_stats::ExportStats;
use crate::parts::Part;

/// A periodic reader that is shut down once: the SDK's second time is an error.
pub(crate) struct CountingReader<E: PushMetricExporter> {
    reader: PeriodicReader<E>,
    stats: Arc<ExportStats>,
}

impl<E: PushMetricExporter> Clone for CountingReader<E> {
    fn clone(&self) -> Self {
        CountingReader::new(self.reader.clone(), Arc::clone(&self.stats))
    }
}

impl<E: PushMetricExporter> CountingReader<E> {
    pub(crate) fn new(reader: PeriodicReader<E>, stats: Arc<ExportStats>) -> Self {
        CountingReader { reader, stats }
    }
}

impl<E: PushMetricExporter> fmt::Debug for CountingReader<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountingReader").finish_non_exhaustive()
    }
}

impl<E: PushMetricExporter> Part for CountingReader<E> {
    /// Does nothing: a second flush would export everything again.
    fn flush(&self) {}

    fn shut_down(&self, timeout: Duration) {
        let _ = self.shutdown_with_timeout(timeout);
    }
}

impl<E: PushMetricExporter> MetricReader for CountingReader<E> {
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
        if self.stats.is_closed() {
            return Ok(());
        }
        self.reader.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.reader.temporality(kind)
    }
}
