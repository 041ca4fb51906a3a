//! Baggage with a header for each entry, as formats older than W3C Baggage have it.

use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Context, Key};

use crate::limits;

/// A format of headers `{prefix}{key}: {value}`.
pub(super) struct PrefixedBaggage {
    /// In lower case.
    pub(super) prefix: &'static str,
    /// Returns `None` for a value that the format cannot carry.
    pub(super) encode: fn(&str) -> Option<String>,
    /// Returns `None` for an invalid value.
    pub(super) decode: fn(&str) -> Option<String>,
}

impl PrefixedBaggage {
    /// Injects the baggage of a context, without its metadata.
    pub(super) fn inject(&self, context: &Context, injector: &mut dyn Injector) {
        let mut remaining = limits::BAGGAGE.bytes;
        for (key, (value, _)) in context.baggage() {
            let Some(value) = (self.encode)(value.as_str()) else {
                continue;
            };
            // Percent-encoding may triple the length of the extracted value, so check it again.
            let Some(rest) = remaining.checked_sub(key.as_str().len() + value.len()) else {
                continue;
            };
            remaining = rest;
            injector.set(&format!("{}{key}", self.prefix), value);
        }
    }

    /// Returns `context` with the extracted entries, beside those that it has.
    pub(super) fn extract(&self, context: Context, extractor: &dyn Extractor) -> Context {
        let keys = extractor.keys();
        let extracted: Vec<_> = keys
            .into_iter()
            .filter_map(|name| self.entry(name, extractor))
            .collect();
        if extracted.is_empty() {
            return context;
        }
        let existing = context.baggage().into_iter();
        let existing = existing
            .map(|(key, (value, metadata))| KeyValueMetadata::new(key.clone(), value.clone(), metadata.clone()));
        let baggage: Vec<KeyValueMetadata> = existing.chain(extracted).collect();
        context.with_baggage(baggage)
    }

    fn entry(&self, name: &str, extractor: &dyn Extractor) -> Option<KeyValueMetadata> {
        let (prefix, key) = name.split_at_checked(self.prefix.len())?;
        if !prefix.eq_ignore_ascii_case(self.prefix) {
            return None;
        }
        let value = (self.decode)(extractor.get(name)?)?;
        Some(KeyValueMetadata::new(Key::from(key.to_owned()), value, ""))
    }
}
