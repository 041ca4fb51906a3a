//! Attributes as text, which tests compare.

use std::collections::BTreeMap;

use opentelemetry::KeyValue;

/// Attributes by name, with their values as text.
pub type Attributes = BTreeMap<String, String>;

/// Collects the attributes of a span or of a data point, and asserts that no key is duplicated.
pub fn attributes<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> Attributes {
    let mut found = Attributes::new();
    for KeyValue { key, value, .. } in attributes {
        let previous = found.insert(key.to_string(), value.to_string());
        assert_eq!(previous, None, "duplicate attribute {key}");
    }
    found
}

/// Builds attributes from literals.
#[must_use]
pub fn expected<const N: usize>(attributes: [(&str, &str); N]) -> Attributes {
    attributes
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
