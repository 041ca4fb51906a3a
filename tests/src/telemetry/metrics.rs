//! Queries on the metrics of a collection.

use std::sync::Arc;

use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics};
use otel_setup::testing::RecordedMetrics;

use super::{Attributes, attributes};

/// The metrics of one collection.
#[derive(Debug)]
pub struct Metrics(Arc<ResourceMetrics>);

impl Metrics {
    /// Returns the metrics of the last collection.
    #[must_use]
    pub fn last(recorded: &RecordedMetrics) -> Self {
        let last = recorded.collections().last();
        Metrics(Arc::clone(last.expect("metrics have been collected")))
    }

    /// Returns the instrument with this name in the scope `otel-runtime`.
    #[must_use]
    pub fn instrument(&self, name: &str) -> Option<&Metric> {
        let ours = self
            .0
            .scope_metrics()
            .filter(|metrics| metrics.scope().name() == "otel-runtime");
        let mut found = ours
            .flat_map(ScopeMetrics::metrics)
            .filter(|metric| metric.name() == name);
        let metric = found.next();
        assert!(found.next().is_none(), "duplicate instrument {name}");
        metric
    }

    /// Returns the names of all instruments that have a value.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self
            .0
            .scope_metrics()
            .flat_map(ScopeMetrics::metrics)
            .map(Metric::name)
            .collect();
        names.sort_unstable();
        names
    }

    /// Returns the data points of `rpc.server.call.duration`: attributes, count and sum.
    #[must_use]
    pub fn durations(&self) -> Vec<(Attributes, u64, f64)> {
        self.histogram("rpc.server.call.duration")
    }

    /// Returns the number of all recorded durations of servers.
    #[must_use]
    pub fn duration_count(&self) -> u64 {
        self.durations().iter().map(|(_, count, _)| count).sum()
    }

    /// Returns the data points of `rpc.server.active_requests`.
    #[must_use]
    pub fn active_requests(&self) -> Vec<(Attributes, i64)> {
        self.sum("rpc.server.active_requests")
    }

    /// Returns the number of active requests of servers.
    #[must_use]
    pub fn active_request_count(&self) -> i64 {
        self.active_requests().iter().map(|(_, value)| value).sum()
    }

    /// Returns the data points of `rpc.client.call.duration`: attributes, count and sum.
    #[must_use]
    pub fn client_durations(&self) -> Vec<(Attributes, u64, f64)> {
        self.histogram("rpc.client.call.duration")
    }

    /// Returns the number of all recorded durations of clients.
    #[must_use]
    pub fn client_duration_count(&self) -> u64 {
        self.client_durations().iter().map(|(_, count, _)| count).sum()
    }

    /// Returns the data points of `rpc.client.active_requests`.
    #[must_use]
    pub fn client_active_requests(&self) -> Vec<(Attributes, i64)> {
        self.sum("rpc.client.active_requests")
    }

    /// Returns the number of active requests of clients.
    #[must_use]
    pub fn client_active_request_count(&self) -> i64 {
        self.client_active_requests().iter().map(|(_, value)| value).sum()
    }

    /// Returns the data points of a histogram that have a value: attributes, count and sum.
    fn histogram(&self, name: &str) -> Vec<(Attributes, u64, f64)> {
        let Some(metric) = self.instrument(name) else {
            return Vec::new();
        };
        let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
            panic!("not a histogram of f64: {metric:?}")
        };
        let points = histogram.data_points().filter(|point| point.count() > 0);
        points
            .map(|point| (attributes(point.attributes()), point.count(), point.sum()))
            .collect()
    }

    /// Returns the data points of an up-down counter.
    fn sum(&self, name: &str) -> Vec<(Attributes, i64)> {
        let Some(metric) = self.instrument(name) else {
            return Vec::new();
        };
        let AggregatedMetrics::I64(MetricData::Sum(sum)) = metric.data() else {
            panic!("not a sum of i64: {metric:?}")
        };
        assert!(!sum.is_monotonic());
        sum.data_points()
            .map(|point| (attributes(point.attributes()), point.value()))
            .collect()
    }
}
