//! The number of data points in an export of metrics.

use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};

/// Counts the data points of all metrics.
pub(super) fn count(metrics: &ResourceMetrics) -> u64 {
    let metrics = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
    let counts = metrics.map(|metric| match metric.data() {
        AggregatedMetrics::F64(data) => data_points(data),
        AggregatedMetrics::U64(data) => data_points(data),
        AggregatedMetrics::I64(data) => data_points(data),
    });
    counts.sum::<usize>() as u64
}

fn data_points<T>(data: &MetricData<T>) -> usize {
    match data {
        MetricData::Gauge(gauge) => gauge.data_points().count(),
        MetricData::Sum(sum) => sum.data_points().count(),
        MetricData::Histogram(histogram) => histogram.data_points().count(),
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
    }
}
