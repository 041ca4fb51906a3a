//! An exporter, and what becomes of what it is given.
//!
//! Exports never fail for the SDK: it would log that for each batch, and forget it when it shuts down. The [tally](crate::tally) tells it once, and remembers.

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
use crate::export_runtime::Background;
use crate::export_stats::Tally;

#[derive(Debug)]
pub(super) struct Watched<E> {
    pub(super) exporter: E,
    pub(super) by: Watch,
}

#[derive(Debug)]
pub(super) struct Watch {
    /// `None` after the end.
    background: Mutex<Option<Background>>,
    /// For one batch, with all attempts.
    limit: Duration,
    last_cause: LastCause,
    tally: Arc<Tally>,
}

impl Watch {
    pub(super) fn new(background: Background, limit: Duration, last_cause: LastCause, tally: Arc<Tally>) -> Self {
        Watch {
            background: Mutex::new(Some(background)),
            limit,
            last_cause,
            tally,
        }
    }

    async fn export(&self, count: u64, export: impl Future<Output = OTelSdkResult> + Send) {
        if self.try_to(count, export).await {
            self.tally.arrived(count);
        }
    }

    /// Whether the receiver has it. Where it does not, that is in the tally.
    async fn try_to(&self, count: u64, export: impl Future<Output = OTelSdkResult> + Send) -> bool {
        let background = self.background.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(background) = background else {
            self.tally.failed(count, "telemetry has been shut down");
            return false;
        };
        let limit = self.tally.time_left(self.limit);
        let in_time = background.run(async { timeout(limit, export).await }).await;
        let last_cause = self.last_cause.take();
        let failure = match in_time {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => text(error),
            Err(_) => format!("no answer within {limit:?}"),
        };
        self.tally.failed(count, &last_cause.unwrap_or(failure));
        false
    }

    fn shut_down(&self) {
        *self.background.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.tally.close();
    }
}

fn text(error: OTelSdkError) -> String {
    match error {
        OTelSdkError::InternalFailure(reason) => reason,
        other => other.to_string(),
    }
}

impl SpanExporter for Watched<OtlpSpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        self.by.export(count, self.exporter.export(batch)).await;
        Ok(())
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        let outcome = self.exporter.shutdown_with_timeout(limit);
        self.by.shut_down();
        outcome
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl LogExporter for Watched<OtlpLogExporter> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count() as u64;
        self.by.export(count, self.exporter.export(batch)).await;
        Ok(())
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        let outcome = self.exporter.shutdown_with_timeout(limit);
        self.by.shut_down();
        outcome
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl PushMetricExporter for Watched<OtlpMetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let count = points::count(metrics);
        // Spans and log records are made long before, metric points now.
        self.by.tally.made(count);
        let export = self.exporter.export(metrics);
        if self.temporality() == Temporality::Cumulative {
            if self.by.try_to(count, export).await {
                self.by.tally.caught_up();
            }
        } else {
            self.by.export(count, export).await;
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        let outcome = self.exporter.shutdown_with_timeout(limit);
        self.by.shut_down();
        outcome
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
