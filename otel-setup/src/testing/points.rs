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

/// Merges one metric's collections, in their order, to one data point for each set of attributes.
///
/// Points without a measurement since the start of the test are left out.
pub(super) fn merged<'a>(collections: impl Iterator<Item = &'a Metric>) -> Vec<RecordedPoint> {
    let mut points = Vec::new();
    for metric in collections {
        match metric.data() {
            AggregatedMetrics::F64(data) => add(&mut points, data),
            AggregatedMetrics::U64(data) => add(&mut points, data),
            AggregatedMetrics::I64(data) => add(&mut points, data),
        }
    }
    points
}

fn add<T: Number>(points: &mut Vec<RecordedPoint>, data: &MetricData<T>) {
    let mut add = |attributes: Vec<KeyValue>, (count, value): (u64, T), temporality| {
        add_point(points, attributes, count, value.as_f64(), temporality);
    };
    match data {
        MetricData::Gauge(gauge) => {
            for point in gauge.data_points() {
                let attributes = point.attributes().cloned().collect();
                add(attributes, (0, point.value()), Temporality::Cumulative);
            }
        }
        MetricData::Sum(sum) => {
            for point in sum.data_points() {
                add(
                    point.attributes().cloned().collect(),
                    (0, point.value()),
                    sum.temporality(),
                );
            }
        }
        MetricData::Histogram(histogram) => {
            for point in histogram.data_points().filter(|point| point.count() > 0) {
                let values = (point.count(), point.sum());
                add(point.attributes().cloned().collect(), values, histogram.temporality());
            }
        }
        MetricData::ExponentialHistogram(histogram) => {
            for point in histogram.data_points().filter(|point| point.count() > 0) {
                let values = (point.count() as u64, point.sum());
                add(point.attributes().cloned().collect(), values, histogram.temporality());
            }
        }
    }
}

fn add_point(
    points: &mut Vec<RecordedPoint>,
    mut attributes: Vec<KeyValue>,
    count: u64,
    value: f64,
    temporality: Temporality,
) {
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    let known = points.iter_mut().find(|point| point.attributes == attributes);
    match known {
        Some(point) if temporality == Temporality::Delta => {
            point.count += count;
            point.value += value;
        }
        Some(point) => (point.count, point.value) = (count, value),
        None => points.push(RecordedPoint {
            attributes,
            count,
            value,
        }),
    }
}
