//! The kinds of metrics, as Prometheus tells them apart.

use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};

/// The kind of a metric, as far as its name and its type depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    UpDownCounter,
    Gauge,
    Histogram,
}

impl Kind {
    /// Clauses "Gauges", "Sums" and "Histograms": a sum that is not monotonic is a gauge.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::UpDownCounter | Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    pub(crate) fn from_metric(metric: &Metric) -> Self {
        match metric.data() {
            AggregatedMetrics::F64(data) => Kind::from_data(data),
            AggregatedMetrics::U64(data) => Kind::from_data(data),
            AggregatedMetrics::I64(data) => Kind::from_data(data),
        }
    }

    fn from_data<T>(data: &MetricData<T>) -> Self {
        match data {
            MetricData::Sum(sum) if sum.is_monotonic() => Kind::Counter,
            MetricData::Sum(_) => Kind::UpDownCounter,
            MetricData::Gauge(_) => Kind::Gauge,
            MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) => Kind::Histogram,
        }
    }
}
