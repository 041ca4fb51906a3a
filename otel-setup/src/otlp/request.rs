//! OTLP's requests: their paths, the number of their items, and their division.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    SummaryDataPoint,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use crate::signal::Signal;

/// Returns the path of the gRPC method that exports a signal.
pub(super) fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// Spans, data points or log records, or a message that groups them.
pub(super) trait Items: Sized {
    /// Returns the number of items.
    fn count(&self) -> usize;

    /// Keeps the given number of items, and returns a group with the others.
    fn split_off(&mut self, kept: usize) -> Self;
}

/// Divides the items of a message into halves. A single item cannot be divided.
pub(super) fn halves<T: Items>(mut message: T) -> Result<[T; 2], T> {
    let count = message.count();
    if count < 2 {
        return Err(message);
    }
    let second = message.split_off(count / 2);
    Ok([message, second])
}

impl<T: Items> Items for Vec<T> {
    fn count(&self) -> usize {
        self.iter().map(Items::count).sum()
    }

    fn split_off(&mut self, kept: usize) -> Self {
        let mut before = 0;
        for index in 0..self.len() {
            let count = self[index].count();
            if before + count <= kept {
                before += count;
                continue;
            }
            if before == kept {
                return Vec::split_off(self, index);
            }
            let divided = self[index].split_off(kept - before);
            let mut rest = Vec::split_off(self, index + 1);
            rest.insert(0, divided);
            return rest;
        }
        Vec::new()
    }
}

macro_rules! items {
    ($($type:ident)*) => {
        $(impl Items for $type {
            fn count(&self) -> usize {
                1
            }

            fn split_off(&mut self, _: usize) -> Self {
                unreachable!("a single item is not divided")
            }
        })*
    };
}

items!(Span LogRecord NumberDataPoint HistogramDataPoint ExponentialHistogramDataPoint SummaryDataPoint);

macro_rules! groups {
    ($($type:ident $field:ident)*) => {
        $(impl Items for $type {
            fn count(&self) -> usize {
                self.$field.count()
            }

            fn split_off(&mut self, kept: usize) -> Self {
                let mut items = std::mem::take(&mut self.$field);
                let mut rest = self.clone();
                rest.$field = Items::split_off(&mut items, kept);
                self.$field = items;
                rest
            }
        })*
    };
}

groups! {
    ExportTraceServiceRequest resource_spans
    ResourceSpans scope_spans
    ScopeSpans spans
    ExportLogsServiceRequest resource_logs
    ResourceLogs scope_logs
    ScopeLogs log_records
    ExportMetricsServiceRequest resource_metrics
    ResourceMetrics scope_metrics
    ScopeMetrics metrics
    Metric data
}

impl Items for Option<Data> {
    fn count(&self) -> usize {
        match self {
            Some(Data::Gauge(gauge)) => gauge.data_points.len(),
            Some(Data::Sum(sum)) => sum.data_points.len(),
            Some(Data::Histogram(histogram)) => histogram.data_points.len(),
            Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
            Some(Data::Summary(summary)) => summary.data_points.len(),
            None => 0,
        }
    }

    fn split_off(&mut self, kept: usize) -> Self {
        macro_rules! split {
            ($data:ident, $variant:ident) => {{
                let mut points = std::mem::take(&mut $data.data_points);
                let mut rest = $data.clone();
                rest.data_points = Items::split_off(&mut points, kept);
                $data.data_points = points;
                Some(Data::$variant(rest))
            }};
        }
        match self {
            Some(Data::Gauge(gauge)) => split!(gauge, Gauge),
            Some(Data::Sum(sum)) => split!(sum, Sum),
            Some(Data::Histogram(histogram)) => split!(histogram, Histogram),
            Some(Data::ExponentialHistogram(histogram)) => split!(histogram, ExponentialHistogram),
            Some(Data::Summary(summary)) => split!(summary, Summary),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::Sum;

    use super::*;

    fn spans(scopes: &[(&str, &[&str])]) -> ExportTraceServiceRequest {
        let scope_spans = scopes.iter().map(|(schema, names)| ScopeSpans {
            schema_url: (*schema).to_owned(),
            spans: names
                .iter()
                .map(|name| Span {
                    name: (*name).to_owned(),
                    ..Span::default()
                })
                .collect(),
            ..ScopeSpans::default()
        });
        let resource = ResourceSpans {
            scope_spans: scope_spans.collect(),
            schema_url: "resource".to_owned(),
            ..ResourceSpans::default()
        };
        ExportTraceServiceRequest {
            resource_spans: vec![resource],
        }
    }

    #[test]
    fn halves_have_all_items_in_order_with_their_groups() {
        let whole = spans(&[("a", &["1", "2", "3"]), ("b", &["4"]), ("c", &["5", "6"])]);
        assert_eq!(whole.count(), 6);
        let [first, second] = halves(whole).unwrap();
        assert_eq!(first, spans(&[("a", &["1", "2", "3"])]));
        assert_eq!(second, spans(&[("b", &["4"]), ("c", &["5", "6"])]));
        let [first, second] = halves(second).unwrap();
        assert_eq!(first, spans(&[("b", &["4"])]));
        let [first_of_second, second_of_second] = halves(second).unwrap();
        assert_eq!(first_of_second, spans(&[("c", &["5"])]));
        assert_eq!(second_of_second, spans(&[("c", &["6"])]));
        assert_eq!(halves(first.clone()), Err(first), "a single item");
    }

    #[test]
    fn data_points_of_one_metric_are_divided() {
        let point = |time| NumberDataPoint {
            time_unix_nano: time,
            ..NumberDataPoint::default()
        };
        let metric = |points| Metric {
            name: "requests".to_owned(),
            data: Some(Data::Sum(Sum {
                data_points: points,
                is_monotonic: true,
                aggregation_temporality: 2,
            })),
            ..Metric::default()
        };
        let [first, second] = halves(metric(vec![point(1), point(2), point(3)])).unwrap();
        assert_eq!(first, metric(vec![point(1)]));
        assert_eq!(second, metric(vec![point(2), point(3)]));
    }
}
