//! An exporter, and what becomes of what it is given.
//!
//! Exports never fail for the SDK: it would log that for each batch, and forget it when it shuts down. The [stats](crate::stats) tells it once, and remembers.

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

use super::data_points as points;
use super::http_client::LastCause;
use crate::export_runtime::ExportRuntime;
use crate::export_stats::ExportStats;

#[derive(Debug)]
pub(super) struct MonitoredExporter<E> {
    pub(super) exporter: E,
    pub(super) monitor: ExportMonitor,
}

#[derive(Debug)]
pub(super) struct ExportMonitor {
    /// `None` after the end.
    runtime: Mutex<Option<ExportRuntime>>,
    /// For one batch, with all attempts.
    limit: Duration,
    last_cause: LastCause,
    stats: Arc<ExportStats>,
}

impl ExportMonitor {
    pub(super) fn new(runtime: ExportRuntime, limit: Duration, last_cause: LastCause, stats: Arc<ExportStats>) -> Self {
        ExportMonitor {
            runtime: Mutex::new(Some(runtime)),
            limit,
            last_cause,
            stats,
        }
    }

    async fn export(&self, count: u64, export: impl Future<Output = OTelSdkResult> + Send) {
        if self.try_export(count, export).await {
            self.stats.arrived(count);
        }
    }

    /// Whether the receiver has it. Where it does not, that is in the stats.
    async fn try_export(&self, count: u64, export: impl Future<Output = OTelSdkResult> + Send) -> bool {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(runtime) = runtime else {
            self.stats.failed(count, "telemetry has been shut down");
            return false;
        };
        let limit = self.stats.time_left(self.limit);
        let in_time = runtime.run(async { timeout(limit, export).await }).await;
        let last_cause = self.last_cause.take();
        let failure = match in_time {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => text(error),
            Err(_) => format!("no answer within {limit:?}"),
        };
        self.stats.failed(count, &last_cause.unwrap_or(failure));
        false
    }

    fn shut_down(&self) {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.stats.close();
    }
}

fn text(error: OTelSdkError) -> String {
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

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        let outcome = self.exporter.shutdown_with_timeout(limit);
        self.monitor.shut_down();
        outcome
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

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        let outcome = self.exporter.shutdown_with_timeout(limit);
        self.monitor.shut_down();
        outcome
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl PushMetricExporter for MonitoredExporter<OtlpMetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let count = points::count(metrics);
        // Spans and log records are made long before, metric points now.
        self.monitor.stats.made(count);
        let export = self.exporter.export(metrics);
        if self.temporality() == Temporality::Cumulative {
            if self.monitor.try_export(count, export).await {
                self.monitor.stats.caught_up();
            }
        } else {
            self.monitor.export(count, export).await;
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        let outcome = self.exporter.shutdown_with_timeout(limit);
        self.monitor.shut_down();
        outcome
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
