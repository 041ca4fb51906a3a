//! Console exporters that count what they write.
//!
//! To the SDK, every export succeeds. Otherwise the SDK would log each failed batch.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::data_points;
use crate::export_failure::{Cause, ExportFailure};
use crate::export_stats::ExportStats;

/// An exporter with its statistics.
#[derive(Debug)]
pub(super) struct MonitoredExporter<E> {
    exporter: E,
    stats: Arc<ExportStats>,
}

impl<E> MonitoredExporter<E> {
    pub(super) fn new(exporter: E, stats: Arc<ExportStats>) -> Self {
        MonitoredExporter { exporter, stats }
    }

    fn count(&self, count: u64, result: OTelSdkResult) {
        match result {
            Ok(()) => self.stats.add_delivered(count),
            Err(error) => self.stats.add_failed(count, failure(error)),
        }
    }

    /// Counts a failure to write the rest, whose size is unknown.
    fn close(&self, result: OTelSdkResult) {
        if let Err(error) = result {
            self.stats.add_failed(0, failure(error));
        }
        self.stats.close();
    }
}

fn failure(error: OTelSdkError) -> ExportFailure {
    match error {
        OTelSdkError::InternalFailure(reason) => ExportFailure::new(Cause::NotWritten, reason),
        other => ExportFailure::new(Cause::TooLate, other.to_string()),
    }
}

impl<E: SpanExporter> SpanExporter for MonitoredExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        self.count(count, self.exporter.export(batch).await);
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.close(self.exporter.shutdown_with_timeout(timeout));
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for MonitoredExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count() as u64;
        self.count(count, self.exporter.export(batch).await);
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.close(self.exporter.shutdown_with_timeout(timeout));
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for MonitoredExporter<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let count = data_points::count(metrics);
        self.stats.add_recorded(count);
        self.count(count, self.exporter.export(metrics).await);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.close(self.exporter.shutdown_with_timeout(timeout));
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
