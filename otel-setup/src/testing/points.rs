//! Data points of any kind of metric, merged over collections.

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};

/// The data point of one set of attributes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedPoint {
    /// The attributes, sorted by key.
    pub attributes: Vec<KeyValue>,
    /// The number of measurements of a histogram, otherwise 0.
    pub count: u64,
    /// The sum of a histogram's measurements, the value of a sum, or the last value of a gauge.
    pub value: f64,
}

/// A number of a metric.
trait Number: Copy {
    fn as_f64(self) -> f64;
}

impl Number for f64 {
    fn as_f64(self) -> f64 {
        self
    }
}

#[expect(clippy::cast_precision_loss, reason = "tests compare small numbers")]
impl Number for u64 {
    fn as_f64(self) -> f64 {
        self as f64
    }
}

#[expect(clippy::cast_precision_loss, reason = "tests compare small numbers")]
impl Number for i64 {
    fn as_f64(self) -> f64 {
        self as f64
    }
}

/// A data point of one collection.
struct Collected {
    point: RecordedPoint,
    /// Whether the values of points with the same attributes add up.
    is_sum: bool,
    /// Whether the value is what has been recorded since the last collection.
    is_delta: bool,
}

/// Merges a metric's collections, in their order, to one data point for each set of attributes.
///
/// Several instruments may have the metric's name. Their sums add up, and their gauges remain
/// apart. Points without a measurement since the start of the test are left out.
pub(super) fn merged<'a>(collections: impl Iterator<Item = impl Iterator<Item = &'a Metric>>) -> Vec<RecordedPoint> {
    let mut points: Vec<RecordedPoint> = Vec::new();
    for metrics in collections {
        let mut collected = Vec::new();
        for metric in metrics {
            match metric.data() {
                AggregatedMetrics::F64(data) => add(&mut collected, data),
                AggregatedMetrics::U64(data) => add(&mut collected, data),
                AggregatedMetrics::I64(data) => add(&mut collected, data),
            }
        }
        points.retain(|point| {
            let mut totals = collected.iter().filter(|new| !new.is_delta);
            totals.all(|new| new.point.attributes != point.attributes)
        });
        for new in collected {
            let known = points.iter_mut().find(|point| point.attributes == new.point.attributes);
            match known.filter(|_| new.is_sum) {
                Some(point) => {
                    point.count += new.point.count;
                    point.value += new.point.value;
                }
                None => points.push(new.point),
            }
        }
    }
    points
}

fn add<T: Number>(points: &mut Vec<Collected>, data: &MetricData<T>) {
    let mut add = |mut attributes: Vec<KeyValue>, (count, value): (u64, T), (is_sum, temporality)| {
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
        points.push(Collected {
            point: RecordedPoint {
                attributes,
                count,
                value: value.as_f64(),
            },
            is_sum,
            is_delta: temporality == Temporality::Delta,
        });
    };
    match data {
        MetricData::Gauge(gauge) => {
            for point in gauge.data_points() {
                let attributes = point.attributes().cloned().collect();
                add(attributes, (0, point.value()), (false, Temporality::Cumulative));
            }
        }
        MetricData::Sum(sum) => {
            for point in sum.data_points() {
                let attributes = point.attributes().cloned().collect();
                add(attributes, (0, point.value()), (true, sum.temporality()));
            }
        }
        MetricData::Histogram(histogram) => {
            for point in histogram.data_points().filter(|point| point.count() > 0) {
                let (attributes, values) = (point.attributes().cloned().collect(), (point.count(), point.sum()));
                add(attributes, values, (true, histogram.temporality()));
            }
        }
        MetricData::ExponentialHistogram(histogram) => {
            for point in histogram.data_points().filter(|point| point.count() > 0) {
                let values = (point.count() as u64, point.sum());
                let attributes = point.attributes().cloned().collect();
                add(attributes, values, (true, histogram.temporality()));
            }
        }
    }
}
