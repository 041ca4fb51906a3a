//! The exporters of the three signals.
//!
//! To the SDK, every export succeeds. Otherwise the SDK would log each failed batch.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::delivery::{Delivered, Delivery};
use super::request::{Items, Request};
use super::{unique_points, unique_scopes};
use crate::export_failure::{Cause, ExportFailure};
use crate::export_runtime::ExportRuntime;

/// An exporter of one signal. Exports run on the export thread.
#[derive(Debug)]
pub(super) struct OtlpExporter {
    /// `None` after the shutdown.
    runtime: Mutex<Option<ExportRuntime>>,
    delivery: Arc<Delivery>,
    /// Set by the SDK. Metrics have their own.
    resource: ResourceAttributesWithSchema,
    temporality: Temporality,
}

impl OtlpExporter {
    pub(super) fn new(runtime: ExportRuntime, delivery: Delivery, temporality: Temporality) -> Self {
        OtlpExporter {
            runtime: Mutex::new(Some(runtime)),
            delivery: Arc::new(delivery),
            resource: ResourceAttributesWithSchema::default(),
            temporality,
        }
    }

    /// Delivers a request, and counts its items.
    async fn export(&self, request: Request) -> OTelSdkResult {
        if let Some(delivered) = self.deliver(request).await {
            self.delivery.stats().add_delivered(delivered.count);
            self.count_rejected(&delivered);
        }
        Ok(())
    }

    /// Delivers a request, or returns `None` if nothing of it arrives, as after the shutdown.
    async fn deliver(&self, request: Request) -> Option<Delivered> {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(runtime) = runtime else {
            let failure = ExportFailure::new(Cause::TooLate, "");
            self.delivery.stats().add_failed(request.count() as u64, failure);
            return None;
        };
        let delivery = self.delivery.clone();
        let delivered = runtime.run(async move { delivery.deliver(request).await }).await;
        (delivered.count > 0).then_some(delivered)
    }

    fn count_rejected(&self, delivered: &Delivered) {
        if delivered.rejected > 0 {
            let stats = self.delivery.stats();
            stats.add_rejected(delivered.rejected, delivered.rejection());
        }
    }

    fn shut_down(&self) {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.delivery.stats().close();
    }
}

impl SpanExporter for OtlpExporter {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let mut resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let groups = resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
        groups.for_each(|group| unique_scopes::in_scope(&mut group.scope));
        self.export(Request::Traces(ExportTraceServiceRequest { resource_spans }))
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.shut_down();
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl LogExporter for OtlpExporter {
    fn export(&self, batch: LogBatch<'_>) -> impl Future<Output = OTelSdkResult> + Send {
        let mut resource_logs = group_logs_by_resource_and_scope(&batch, &self.resource);
        let groups = resource_logs.iter_mut().flat_map(|resource| &mut resource.scope_logs);
        groups.for_each(|group| unique_scopes::in_scope(&mut group.scope));
        self.export(Request::Logs(ExportLogsServiceRequest { resource_logs }))
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.shut_down();
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl PushMetricExporter for OtlpExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut request = ExportMetricsServiceRequest::from(metrics);
        unique_points::in_request(&mut request);
        let resources = request.resource_metrics.iter_mut();
        let groups = resources.flat_map(|resource| &mut resource.scope_metrics);
        groups.for_each(|group| unique_scopes::in_scope(&mut group.scope));
        let request = Request::Metrics(request);
        // Data points are created by the export itself, so no processor has counted them.
        self.delivery.stats().add_recorded(request.count() as u64);
        if self.temporality != Temporality::Cumulative {
            return self.export(request).await;
        }
        if let Some(delivered) = self.deliver(request).await {
            let stats = self.delivery.stats();
            if delivered.is_partial {
                stats.add_delivered(delivered.count);
            } else {
                stats.set_all_delivered();
            }
            self.count_rejected(&delivered);
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.shut_down();
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}
