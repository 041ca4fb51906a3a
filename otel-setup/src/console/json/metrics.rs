//! The JSON of metrics, one instrument per line.

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource as SdkResource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, ExponentialBucket, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, GaugeDataPoint,
    Histogram, HistogramDataPoint, Metric as SdkMetric, MetricData, ResourceMetrics, Sum, SumDataPoint,
};
use serde::Serialize;

use super::objects::{Lines, Resource, Scope, lines};
use super::values::{Attributes, Number};
use crate::text::time;

pub(crate) fn metrics(metrics: &ResourceMetrics) -> Lines {
    lines(metrics.scope_metrics().flat_map(|scope| {
        let new = |metric| Metric::new(metric, metrics.resource(), scope.scope());
        scope.metrics().map(new)
    }))
}

#[derive(Serialize)]
struct Metric<'a> {
    resource: Resource<'a>,
    scope: Scope<'a>,
    name: &'a str,
    description: &'a str,
    unit: &'a str,
    r#type: &'static str,
    temporality: Option<&'static str>,
    is_monotonic: Option<bool>,
    points: Vec<Point<'a>>,
}

#[derive(Serialize)]
struct Point<'a> {
    attributes: Attributes<'a>,
    start_time: Option<String>,
    time: Option<String>,
    #[serde(flatten)]
    values: Values,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Values {
    One {
        value: Number,
    },
    Histogram {
        count: u64,
        sum: Number,
        min: Option<Number>,
        max: Option<Number>,
        bounds: Vec<Number>,
        bucket_counts: Vec<u64>,
    },
    Exponential {
        count: usize,
        sum: Number,
        min: Option<Number>,
        max: Option<Number>,
        scale: i8,
        zero_count: u64,
        zero_threshold: Number,
        positive: Buckets,
        negative: Buckets,
    },
}

#[derive(Serialize)]
struct Buckets {
    offset: i32,
    bucket_counts: Vec<u64>,
}

impl<'a> Metric<'a> {
    fn new(metric: &'a SdkMetric, resource: &'a SdkResource, scope: &'a InstrumentationScope) -> Self {
        let data = match metric.data() {
            AggregatedMetrics::F64(data) => Data::read(data, Number::Float),
            AggregatedMetrics::U64(data) => Data::read(data, Number::Unsigned),
            AggregatedMetrics::I64(data) => Data::read(data, Number::Signed),
        };
        Metric {
            resource: Resource::new(resource),
            scope: Scope::new(scope),
            name: metric.name(),
            description: metric.description(),
            unit: metric.unit(),
            r#type: data.r#type,
            temporality: data.temporality,
            is_monotonic: data.is_monotonic,
            points: data.points,
        }
    }
}

/// The members that depend on the kind of instrument.
struct Data<'a> {
    r#type: &'static str,
    temporality: Option<&'static str>,
    is_monotonic: Option<bool>,
    points: Vec<Point<'a>>,
}

impl<'a> Data<'a> {
    fn read<T: Copy>(data: &'a MetricData<T>, number: fn(T) -> Number) -> Self {
        match data {
            MetricData::Gauge(gauge) => Self::gauge(gauge, number),
            MetricData::Sum(sum) => Self::sum(sum, number),
            MetricData::Histogram(histogram) => Self::histogram(histogram, number),
            MetricData::ExponentialHistogram(histogram) => Self::exponential(histogram, number),
        }
    }

    fn gauge<T: Copy>(gauge: &'a Gauge<T>, number: fn(T) -> Number) -> Self {
        let point = |point: &'a GaugeDataPoint<T>| Point {
            attributes: Attributes::from_point(point.attributes()),
            start_time: gauge.start_time().and_then(time),
            time: time(gauge.time()),
            values: Values::One {
                value: number(point.value()),
            },
        };
        Data {
            r#type: "gauge",
            temporality: None,
            is_monotonic: None,
            points: gauge.data_points().map(point).collect(),
        }
    }

    fn sum<T: Copy>(sum: &'a Sum<T>, number: fn(T) -> Number) -> Self {
        let point = |point: &'a SumDataPoint<T>| Point {
            attributes: Attributes::from_point(point.attributes()),
            start_time: time(sum.start_time()),
            time: time(sum.time()),
            values: Values::One {
                value: number(point.value()),
            },
        };
        Data {
            r#type: "sum",
            temporality: Some(temporality(sum.temporality())),
            is_monotonic: Some(sum.is_monotonic()),
            points: sum.data_points().map(point).collect(),
        }
    }

    fn histogram<T: Copy>(histogram: &'a Histogram<T>, number: fn(T) -> Number) -> Self {
        let point = |point: &'a HistogramDataPoint<T>| Point {
            attributes: Attributes::from_point(point.attributes()),
            start_time: time(histogram.start_time()),
            time: time(histogram.time()),
            values: Values::Histogram {
                count: point.count(),
                sum: number(point.sum()),
                min: point.min().map(number),
                max: point.max().map(number),
                bounds: point.bounds().map(Number::Float).collect(),
                bucket_counts: point.bucket_counts().collect(),
            },
        };
        Data {
            r#type: "histogram",
            temporality: Some(temporality(histogram.temporality())),
            is_monotonic: None,
            points: histogram.data_points().map(point).collect(),
        }
    }

    fn exponential<T: Copy>(histogram: &'a ExponentialHistogram<T>, number: fn(T) -> Number) -> Self {
        let point = |point: &'a ExponentialHistogramDataPoint<T>| Point {
            attributes: Attributes::from_point(point.attributes()),
            start_time: time(histogram.start_time()),
            time: time(histogram.time()),
            values: Values::Exponential {
                count: point.count(),
                sum: number(point.sum()),
                min: point.min().map(number),
                max: point.max().map(number),
                scale: point.scale(),
                zero_count: point.zero_count(),
                zero_threshold: Number::Float(point.zero_threshold()),
                positive: Buckets::new(point.positive_bucket()),
                negative: Buckets::new(point.negative_bucket()),
            },
        };
        Data {
            r#type: "exponential_histogram",
            temporality: Some(temporality(histogram.temporality())),
            is_monotonic: None,
            points: histogram.data_points().map(point).collect(),
        }
    }
}

impl Buckets {
    fn new(buckets: &ExponentialBucket) -> Self {
        Buckets {
            offset: buckets.offset(),
            bucket_counts: buckets.counts().collect(),
        }
    }
}

/// Names the temporality. `LowMemory` is only a preference of exporters; data has one of the other
/// two.
fn temporality(temporality: Temporality) -> &'static str {
    match temporality {
        Temporality::Delta => "delta",
        _ => "cumulative",
    }
}
