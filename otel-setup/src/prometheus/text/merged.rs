//! Families in which several data points have the same labels.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};

use crate::prometheus::buckets::{Buckets, Histogram};
use crate::prometheus::exponential::Exponential;
use crate::prometheus::families::Family;
use crate::prometheus::kind::Kind;
use crate::prometheus::names::unit_words;
use crate::prometheus::numbers::{AnyNumber, Number};
use crate::prometheus::text::Text;

/// The series of a family by their labels.
type Merged = BTreeMap<String, Series>;

struct Series {
    unit: String,
    start: SystemTime,
    value: Value,
}

enum Value {
    Gauge(AnyNumber),
    Sum(AnyNumber),
    Histogram(Histogram),
}

/// Ends of warnings.
const DROPPED: &str = "; dropping one";
const COARSER: &str = " and different boundaries; using those that both have";

impl Series {
    /// Returns the sum, or the first of two points without one, and the end of a warning if
    /// something is lost.
    fn plus(mut self, other: Series) -> (Series, Option<&'static str>) {
        let is_same_unit = self.unit == other.unit || self.unit.is_empty() || other.unit.is_empty();
        let mut problem = None;
        self.value = match (self.value, other.value) {
            (Value::Sum(a), Value::Sum(b)) if is_same_unit => Value::Sum(a.plus(b)),
            (Value::Histogram(a), Value::Histogram(b)) if is_same_unit => {
                let (sum, has_all) = a.plus(b);
                problem = (!has_all).then_some(COARSER);
                Value::Histogram(sum)
            }
            (first, _) => {
                problem = Some(DROPPED);
                first
            }
        };
        if self.unit.is_empty() {
            self.unit = other.unit;
        }
        (self, problem)
    }
}

impl<'a> Text<'_, 'a> {
    /// Writes the samples of a family, and adds up the points that have the same labels.
    ///
    /// OpenTelemetry tells such points apart by an empty attribute, which is no label, or by keys
    /// that become one label with the same text, by the clause "Metric Attributes". The clause does
    /// not say what becomes of them, so that of the [data
    /// model](https://opentelemetry.io/docs/specs/otel/metrics/data-model/#opentelemetry-protocol-data-model)
    /// applies: "Every OTLP data stream has an intrinsic decomposable aggregate function making it
    /// semantically well-defined to merge data points across both temporal and spatial attributes."
    /// Gauges have no sum: "In the timeseries model, you cannot assume that any particular Gauge is
    /// a sum". By the clause "Metric Metadata", "if dropping […] metric points, the exporter SHOULD
    /// warn the user".
    pub(super) fn merged(&mut self, family: &Family<'a>) {
        let mut merged = Merged::new();
        for (scope, metric) in &family.metrics {
            match metric.data() {
                AggregatedMetrics::F64(data) => self.merge(&mut merged, family, scope, metric, data),
                AggregatedMetrics::U64(data) => self.merge(&mut merged, family, scope, metric, data),
                AggregatedMetrics::I64(data) => self.merge(&mut merged, family, scope, metric, data),
            }
        }
        for (labels, Series { start, value, .. }) in merged {
            self.current_labels = labels;
            match value {
                Value::Gauge(value) => self.value(&family.name, value),
                Value::Sum(value) => self.sum(family, value, start),
                Value::Histogram(histogram) => self.histogram(family, &Buckets::from(histogram), start),
            }
        }
    }

    fn merge<T: Number>(
        &mut self,
        merged: &mut Merged,
        family: &Family<'a>,
        scope: &'a InstrumentationScope,
        metric: &'a Metric,
        data: &'a MetricData<T>,
    ) {
        let unit = unit_words(metric.unit(), Kind::from_metric(metric));
        let series = |start, value| Series {
            unit: unit.clone(),
            start,
            value,
        };
        match data {
            MetricData::Gauge(gauge) => {
                for point in gauge.data_points() {
                    self.set_labels(family, scope, point.attributes());
                    self.add(merged, family, series(UNIX_EPOCH, Value::Gauge(point.value().any())));
                }
            }
            MetricData::Sum(sum) => {
                for point in sum.data_points() {
                    self.set_labels(family, scope, point.attributes());
                    self.add(
                        merged,
                        family,
                        series(sum.start_time(), Value::Sum(point.value().any())),
                    );
                }
            }
            MetricData::Histogram(histogram) => {
                for point in histogram.data_points() {
                    self.set_labels(family, scope, point.attributes());
                    let exemplars = self.exemplars.for_point(scope, metric.name(), point);
                    let value = Value::Histogram(Histogram::Explicit(Buckets::new(point, exemplars)));
                    self.add(merged, family, series(histogram.start_time(), value));
                }
            }
            MetricData::ExponentialHistogram(histogram) => {
                for point in histogram.data_points() {
                    self.set_labels(family, scope, point.attributes());
                    let value = Value::Histogram(Histogram::Exponential(Exponential::new(point)));
                    self.add(merged, family, series(histogram.start_time(), value));
                }
            }
        }
    }

    /// Adds a point with the current labels.
    fn add(&mut self, merged: &mut Merged, family: &Family<'_>, point: Series) {
        let labels = self.current_labels.clone();
        let start = (self.series).earliest_start_time(&family.name, &labels, point.start);
        let (sum, problem) = match merged.remove(&labels) {
            Some(first) => first.plus(point),
            None => (point, None),
        };
        if let Some(problem) = problem {
            let name = &family.name;
            (self.names).warn(format!(
                "two series of the metric {name} have the same labels in Prometheus{problem}"
            ));
        }
        merged.insert(labels, Series { start, ..sum });
    }
}
