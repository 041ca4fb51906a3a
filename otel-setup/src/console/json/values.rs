//! The JSON of attributes and numbers, with their types.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use opentelemetry::logs::AnyValue;
use opentelemetry::{Array, Key, KeyValue, Value};
use serde::{Serialize, Serializer};

/// Attributes, sorted. Of several with the same key the last remains, as in the other exporters.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Attributes<'a>(BTreeMap<&'a str, Attribute<'a>>);

impl<'a> Attributes<'a> {
    /// Returns the attributes of a data point. Of several with the same key the first remains: the
    /// SDK aggregates by it.
    pub(super) fn from_point(attributes: impl Iterator<Item = &'a KeyValue>) -> Self {
        let mut first = BTreeMap::new();
        for attribute in attributes {
            first
                .entry(attribute.key.as_str())
                .or_insert(Attribute::Span(&attribute.value));
        }
        Attributes(first)
    }
}

enum Attribute<'a> {
    Span(&'a Value),
    Log(&'a AnyValue),
}

impl<'a> FromIterator<&'a KeyValue> for Attributes<'a> {
    fn from_iter<I: IntoIterator<Item = &'a KeyValue>>(attributes: I) -> Self {
        attributes
            .into_iter()
            .map(|attribute| (&attribute.key, &attribute.value))
            .collect()
    }
}

impl<'a> FromIterator<(&'a Key, &'a Value)> for Attributes<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a Key, &'a Value)>>(attributes: I) -> Self {
        let attributes = attributes.into_iter();
        Attributes(
            attributes
                .map(|(key, value)| (key.as_str(), Attribute::Span(value)))
                .collect(),
        )
    }
}

impl<'a> FromIterator<(&'a Key, &'a AnyValue)> for Attributes<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a Key, &'a AnyValue)>>(attributes: I) -> Self {
        let attributes = attributes.into_iter();
        Attributes(
            attributes
                .map(|(key, value)| (key.as_str(), Attribute::Log(value)))
                .collect(),
        )
    }
}

impl Serialize for Attribute<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Attribute::Span(value) => match value {
                Value::Bool(value) => value.serialize(to),
                Value::I64(value) => value.serialize(to),
                Value::F64(value) => Number::Float(*value).serialize(to),
                Value::Array(Array::Bool(values)) => values.serialize(to),
                Value::Array(Array::I64(values)) => values.serialize(to),
                Value::Array(Array::F64(values)) => to.collect_seq(values.iter().map(|value| Number::Float(*value))),
                Value::Array(Array::String(values)) => to.collect_seq(values.iter().map(AsRef::<str>::as_ref)),
                // `Value` is non-exhaustive.
                value => to.serialize_str(&value.as_str()),
            },
            Attribute::Log(value) => AnyJson(value).serialize(to),
        }
    }
}

/// A value of a log record, which may be nested.
pub(super) struct AnyJson<'a>(pub(super) &'a AnyValue);

impl Serialize for AnyJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            AnyValue::Boolean(value) => value.serialize(to),
            AnyValue::Int(value) => value.serialize(to),
            AnyValue::Double(value) => Number::Float(*value).serialize(to),
            AnyValue::String(value) => to.serialize_str(value.as_str()),
            AnyValue::Bytes(bytes) => to.serialize_str(&BASE64_STANDARD.encode(bytes.as_slice())),
            AnyValue::ListAny(values) => to.collect_seq(values.iter().map(AnyJson)),
            AnyValue::Map(values) => values.iter().collect::<Attributes<'_>>().serialize(to),
            value => to.serialize_str(&format!("{value:?}")),
        }
    }
}

/// Formats a value of a log record.
pub(crate) fn value(value: &AnyValue) -> String {
    serde_json::to_string(&AnyJson(value)).unwrap_or_else(|_| format!("{value:?}"))
}

/// A number. JSON has no NaN and infinities, which become the strings of OTLP.
pub(super) enum Number {
    Float(f64),
    Signed(i64),
    Unsigned(u64),
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match *self {
            Number::Signed(value) => value.serialize(to),
            Number::Unsigned(value) => value.serialize(to),
            Number::Float(value) if value.is_finite() => value.serialize(to),
            Number::Float(value) if value.is_nan() => "NaN".serialize(to),
            Number::Float(value) if value > 0.0 => "Infinity".serialize(to),
            Number::Float(_) => "-Infinity".serialize(to),
        }
    }
}
