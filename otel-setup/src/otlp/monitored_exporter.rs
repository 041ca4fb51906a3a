//! Exporters that update the [statistics](crate::export_stats) and enforce the timeout.
//!
//! To the SDK, every export succeeds. Otherwise the SDK would log each failed batch.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_otlp::SpanExporter as OtlpSpanExporter;
use opentelemetry_otlp::{LogExporter as OtlpLogExporter, MetricExporter as OtlpMetricExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::time::timeout;

use super::data_points;
use super::http_client::LastError;
use crate::export_runtime::ExportRuntime;
use crate::export_stats::ExportStats;

/// An OTLP exporter with its monitor.
#[derive(Debug)]
pub(super) struct MonitoredExporter<E> {
    pub(super) exporter: E,
    pub(super) monitor: ExportMonitor,
}

/// Runs the exports of one exporter on the export thread, with a timeout, and counts their results.
#[derive(Debug)]
pub(super) struct ExportMonitor {
    /// `None` after the shutdown.
    runtime: Mutex<Option<ExportRuntime>>,
    /// The timeout of one export, including retries.
    timeout: Duration,
    last_error: LastError,
    stats: Arc<ExportStats>,
}

impl ExportMonitor {
    pub(super) fn new(
        runtime: ExportRuntime,
        timeout: Duration,
        last_error: LastError,
        stats: Arc<ExportStats>,
    ) -> Self {
        ExportMonitor {
            runtime: Mutex::new(Some(runtime)),
            timeout,
            last_error,
            stats,
        }
    }

    async fn export(&self, count: u64, export: impl Future<Output = OTelSdkResult> + Send) {
        if self.try_export(count, export).await {
            self.stats.add_delivered(count);
        }
    }

    /// Returns whether the endpoint has accepted the batch. Counts a failure in the statistics.
    async fn try_export(&self, count: u64, export: impl Future<Output = OTelSdkResult> + Send) -> bool {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(runtime) = runtime else {
            self.stats.add_failed(count, "telemetry has been shut down");
            return false;
        };
        let limit = self.stats.remaining(self.timeout);
        let result = runtime.run(async { timeout(limit, export).await }).await;
        let last_error = self.last_error.take();
        let failure = match result {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => message(error),
            Err(_) => format!("no response within {limit:?}"),
        };
        self.stats.add_failed(count, &last_error.unwrap_or(failure));
        false
    }

    fn shut_down(&self) {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.stats.close();
    }
}

fn message(error: OTelSdkError) -> String {
    match error {
        OTelSdkError::InternalFailure(reason) => reason,
        other => other.to_string(),
    }
}

impl SpanExporter for MonitoredExporter<OtlpSpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        self.monitor.export(count, self.exporter.export(batch)).await;
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let result = self.exporter.shutdown_with_timeout(timeout);
        self.monitor.shut_down();
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl LogExporter for MonitoredExporter<OtlpLogExporter> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count() as u64;
        self.monitor.export(count, self.exporter.export(batch)).await;
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let result = self.exporter.shutdown_with_timeout(timeout);
        self.monitor.shut_down();
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl PushMetricExporter for MonitoredExporter<OtlpMetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let count = data_points::count(metrics);
        // Data points are created by the export itself, so no processor has counted them.
        self.monitor.stats.add_recorded(count);
        let export = self.exporter.export(metrics);
        if self.temporality() == Temporality::Cumulative {
            if self.monitor.try_export(count, export).await {
                self.monitor.stats.set_all_delivered();
            }
        } else {
            self.monitor.export(count, export).await;
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let result = self.exporter.shutdown_with_timeout(timeout);
        self.monitor.shut_down();
        result
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
