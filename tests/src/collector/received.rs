//! The messages that a receiver has received.

use axum::http::HeaderMap;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;

/// A received message.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path of the URL, with its query, or of the gRPC method.
    pub path: String,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The contents of the message.
    pub content: Content,
}

/// The contents of a message.
#[derive(Clone, Debug)]
pub enum Content {
    /// A message to `/v1/traces`.
    Traces(ExportTraceServiceRequest),
    /// A message to `/v1/metrics`.
    Metrics(ExportMetricsServiceRequest),
    /// A message to `/v1/logs`.
    Logs(ExportLogsServiceRequest),
}

impl Content {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Content::Traces(request) => request.resource_spans.is_empty(),
            Content::Metrics(request) => request.resource_metrics.is_empty(),
            Content::Logs(request) => request.resource_logs.is_empty(),
        }
    }
}

impl Received {
    /// Returns the spans of the message.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let Content::Traces(request) = &self.content else {
            return Vec::new();
        };
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Returns the scopes of the message.
    #[must_use]
    pub fn scopes(&self) -> Vec<InstrumentationScope> {
        macro_rules! scopes {
            ($resources:expr, $scopes:ident) => {
                $resources
                    .iter()
                    .flat_map(|resource| &resource.$scopes)
                    .filter_map(|group| group.scope.clone())
                    .collect()
            };
        }
        match &self.content {
            Content::Traces(request) => scopes!(request.resource_spans, scope_spans),
            Content::Metrics(request) => scopes!(request.resource_metrics, scope_metrics),
            Content::Logs(request) => scopes!(request.resource_logs, scope_logs),
        }
    }

    /// Returns the log records of the message.
    #[must_use]
    pub fn log_records(&self) -> Vec<LogRecord> {
        let Content::Logs(request) = &self.content else {
            return Vec::new();
        };
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        scopes.flat_map(|scope| scope.log_records.clone()).collect()
    }

    /// Returns the metrics of the message.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let Content::Metrics(request) = &self.content else {
            return Vec::new();
        };
        let scopes = request
            .resource_metrics
            .iter()
            .flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics.clone()).collect()
    }

    /// Returns a header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Returns the number of data points of a metric.
#[must_use]
pub fn points(metric: &Metric) -> usize {
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    }
}
