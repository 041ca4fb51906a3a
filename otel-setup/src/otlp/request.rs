//! OTLP's requests: their paths, the number of their items, and their division.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::signal::Signal;

/// Returns the path of the gRPC method that exports a signal.
pub(super) fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// The request of one signal.
#[derive(Debug)]
pub(super) enum Request {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

impl Request {
    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Request::Traces(message) => message.encoded_len(),
            Request::Metrics(message) => message.encoded_len(),
            Request::Logs(message) => message.encoded_len(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Request::Traces(message) => message.encode_to_vec(),
            Request::Metrics(message) => message.encode_to_vec(),
            Request::Logs(message) => message.encode_to_vec(),
        }
    }
}

/// A list of spans, data points or log records, or a message that groups such lists.
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

/// A list of groups.
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

macro_rules! lists {
    ($($type:ident)*) => {
        $(impl Items for Vec<$type> {
            fn count(&self) -> usize {
                self.len()
            }

            fn split_off(&mut self, kept: usize) -> Self {
                Vec::split_off(self, kept)
            }
        })*
    };
}

lists!(Span LogRecord NumberDataPoint HistogramDataPoint ExponentialHistogramDataPoint SummaryDataPoint);

/// Implements `Items` for groups. The fields in braces are the same in both parts.
macro_rules! groups {
    ($($type:ident $items:ident { $($same:ident)* })*) => {
        $(impl Items for $type {
            fn count(&self) -> usize {
                self.$items.count()
            }

            fn split_off(&mut self, kept: usize) -> Self {
                $type {
                    $items: Items::split_off(&mut self.$items, kept),
                    $($same: Clone::clone(&self.$same),)*
                }
            }
        })*
    };
}

groups! {
    ExportTraceServiceRequest resource_spans {}
    ResourceSpans scope_spans { resource schema_url }
    ScopeSpans spans { scope schema_url }
    ExportLogsServiceRequest resource_logs {}
    ResourceLogs scope_logs { resource schema_url }
    ScopeLogs log_records { scope schema_url }
    ExportMetricsServiceRequest resource_metrics {}
    ResourceMetrics scope_metrics { resource schema_url }
    ScopeMetrics metrics { scope schema_url }
    Metric data { name description unit metadata }
    Gauge data_points {}
    Sum data_points { aggregation_temporality is_monotonic }
    Histogram data_points { aggregation_temporality }
    ExponentialHistogram data_points { aggregation_temporality }
    Summary data_points {}
}

macro_rules! one_of {
    ($type:ident $($variant:ident)*) => {
        impl Items for $type {
            fn count(&self) -> usize {
                match self {
                    $($type::$variant(message) => message.count(),)*
                }
            }

            fn split_off(&mut self, kept: usize) -> Self {
                match self {
                    $($type::$variant(message) => $type::$variant(message.split_off(kept)),)*
                }
            }
        }
    };
}

one_of!(Request Traces Metrics Logs);
one_of!(Data Gauge Sum Histogram ExponentialHistogram Summary);

impl<T: Items> Items for Option<T> {
    fn count(&self) -> usize {
        self.as_ref().map_or(0, Items::count)
    }

    fn split_off(&mut self, kept: usize) -> Self {
        self.as_mut().map(|message| message.split_off(kept))
    }
}

#[cfg(test)]
mod tests {
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
