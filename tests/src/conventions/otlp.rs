//! Parts of OTLP messages.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

pub(super) fn text_of<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|attribute| attribute.key == name)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

pub(super) fn type_of(value: &AnyValue) -> String {
    match value.value.as_ref() {
        Some(Value::StringValue(_)) => "string".to_owned(),
        Some(Value::BoolValue(_)) => "boolean".to_owned(),
        Some(Value::IntValue(_)) => "int".to_owned(),
        Some(Value::DoubleValue(_)) => "double".to_owned(),
        Some(Value::ArrayValue(array)) => {
            let types: BTreeSet<String> = array.values.iter().map(type_of).collect();
            let types: Vec<String> = types.into_iter().collect();
            format!("{}[]", types.join("|"))
        }
        other => format!("{other:?}"),
    }
}

/// Returns the instrument that makes such data, and the attributes of each point.
pub(super) fn instrument(data: &Data) -> (&'static str, Vec<&[KeyValue]>) {
    match data {
        Data::Gauge(gauge) => (
            "gauge",
            gauge.data_points.iter().map(|point| &*point.attributes).collect(),
        ),
        Data::Sum(sum) => {
            let instrument = if sum.is_monotonic { "counter" } else { "updowncounter" };
            (
                instrument,
                sum.data_points.iter().map(|point| &*point.attributes).collect(),
            )
        }
        Data::Histogram(histogram) => {
            let points = histogram.data_points.iter();
            ("histogram", points.map(|point| &*point.attributes).collect())
        }
        Data::ExponentialHistogram(histogram) => {
            let points = histogram.data_points.iter();
            ("histogram", points.map(|point| &*point.attributes).collect())
        }
        Data::Summary(summary) => (
            "summary",
            summary.data_points.iter().map(|point| &*point.attributes).collect(),
        ),
    }
}
