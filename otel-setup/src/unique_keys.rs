//! Makes the keys of attributes unique, as [the
//! specification](https://opentelemetry.io/docs/specs/otel/common/#attribute-collections) requires.
//! The last value of a key wins, at the place of the first.
//!
//! The SDK appends an attribute that is set again. Most backends show the first value then.
//!
//! A data point keeps the first value instead. The SDK sorts a copy of a measurement's attributes,
//! drops all but the first of equal keys, and aggregates by the rest: `sort_and_dedup` in
//! `metrics/internal/mod.rs` of `opentelemetry_sdk` 0.33.1. Measurements that differ in a later
//! value alone share one time series, which an exporter cannot divide.
//! <https://github.com/open-telemetry/opentelemetry-rust/issues/1098> is about it.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider};
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::SpanData;

/// The maximum number of keys that are compared without a hash table.
const SMALL: usize = 64;

/// Creates log records. The SDK has no other way.
static LOGGER: OnceLock<SdkLogger> = OnceLock::new();

/// Prepares [`in_record`].
///
/// The SDK logs that it creates a logger. If the first record did that, it would wait for itself.
pub(crate) fn prepare() {
    if LOGGER.get().is_none() {
        let resource = Resource::builder_empty().build();
        let provider = SdkLoggerProvider::builder().with_resource(resource).build();
        let _ = LOGGER.set(provider.logger(""));
    }
}

/// Makes the keys of a span, its events and its links unique.
pub(crate) fn in_span(span: &mut SpanData) {
    in_attributes(&mut span.attributes);
    for event in &mut span.events.events {
        in_attributes(&mut event.attributes);
    }
    for link in &mut span.links.links {
        in_attributes(&mut link.attributes);
    }
}

/// Makes the keys of a log record unique.
pub(crate) fn in_record(record: &mut SdkLogRecord) {
    let keys = || record.attributes_iter().map(|(key, _)| key.as_str());
    // The iterator does not know its length.
    if has_duplicates(keys().count(), keys)
        && let Some(logger) = LOGGER.get()
    {
        *record = rebuilt(record, logger);
    }
}

fn in_attributes(attributes: &mut Vec<KeyValue>) {
    if has_duplicates(attributes.len(), || {
        attributes.iter().map(|attribute| attribute.key.as_str())
    }) {
        let all = std::mem::take(attributes);
        *attributes = unique(all.into_iter().map(|attribute| (attribute.key, attribute.value)))
            .map(|(key, value)| KeyValue::new(key, value))
            .collect();
    }
}

/// Returns whether a key is there twice. Nothing is allocated for a small number of keys.
pub(crate) fn has_duplicates<'k, I: Iterator<Item = &'k str>>(count: usize, keys: impl Fn() -> I) -> bool {
    if count > SMALL {
        let mut seen = HashSet::with_capacity(count);
        return !keys().all(|key| seen.insert(key));
    }
    // A key is compared to the earlier ones only if one of them has the same fingerprint.
    let mut seen = 0_u128;
    keys().enumerate().any(|(index, key)| {
        let bit = 1 << fingerprint(key);
        let is_suspect = seen & bit != 0;
        seen |= bit;
        is_suspect && keys().take(index).any(|earlier| earlier == key)
    })
}

/// Returns a number below 128, of the length and three characters.
fn fingerprint(key: &str) -> u32 {
    let bytes = key.as_bytes();
    let at = |index: usize| bytes.get(index).copied().map_or(0, u32::from);
    let length = bytes.len();
    let (last, middle, later) = (at(length.wrapping_sub(1)), at(length / 2), at(length / 4 * 3));
    let mixed = last | (middle << 8) | (later << 16) | (u32::from(length.to_le_bytes()[0]) << 24);
    mixed.wrapping_mul(0x9E37_79B9) >> 25
}

#[cold]
fn rebuilt(record: &SdkLogRecord, logger: &SdkLogger) -> SdkLogRecord {
    let mut fresh = logger.create_log_record();
    if let Some(name) = record.event_name() {
        fresh.set_event_name(name);
    }
    if let Some(target) = record.target() {
        fresh.set_target(target.clone());
    }
    if let Some(time) = record.timestamp() {
        fresh.set_timestamp(time);
    }
    if let Some(time) = record.observed_timestamp() {
        fresh.set_observed_timestamp(time);
    }
    if let Some(text) = record.severity_text() {
        fresh.set_severity_text(text);
    }
    if let Some(number) = record.severity_number() {
        fresh.set_severity_number(number);
    }
    if let Some(body) = record.body() {
        fresh.set_body(body.clone());
    }
    if let Some(context) = record.trace_context() {
        fresh.set_trace_context(context.trace_id, context.span_id, context.trace_flags);
    }
    fresh.add_attributes(unique(record.attributes_iter().cloned()));
    fresh
}

#[cold]
fn unique<V>(attributes: impl Iterator<Item = (Key, V)>) -> impl Iterator<Item = (Key, V)> {
    let mut places = HashMap::new();
    let mut unique: Vec<(Key, V)> = Vec::new();
    for (key, value) in attributes {
        if let Some(place) = places.get(&key) {
            let earlier: &mut (Key, V) = &mut unique[*place];
            earlier.1 = value;
        } else {
            places.insert(key.clone(), unique.len());
            unique.push((key, value));
        }
    }
    unique.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, i64)]) -> Vec<KeyValue> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| KeyValue::new((*key).to_owned(), *value))
            .collect()
    }

    #[test]
    fn the_last_value_wins_at_the_first_place() {
        for (set, expected) in [
            (&[][..], &[][..]),
            (&[("a", 1), ("b", 2)], &[("a", 1), ("b", 2)]),
            (&[("a", 1), ("a", 2)], &[("a", 2)]),
            (&[("", 1), ("b", 2), ("", 3), ("b", 4), ("", 5)], &[("", 5), ("b", 4)]),
        ] {
            let mut found = attributes(set);
            in_attributes(&mut found);
            assert_eq!(found, attributes(expected));
        }
    }

    #[test]
    fn many_keys_are_made_unique() {
        for count in [1, SMALL - 1, SMALL, 1000] {
            let keys: Vec<String> = (0..count).map(|index| format!("key.{index}")).collect();
            let mut set: Vec<(&str, i64)> = keys.iter().map(|key| (key.as_str(), 1)).collect();
            let mut found = attributes(&set);
            in_attributes(&mut found);
            assert_eq!(found, attributes(&set), "none is there twice");

            set.push((&keys[count - 1], 2));
            let mut found = attributes(&set);
            in_attributes(&mut found);
            let last = set.pop().unwrap();
            set[count - 1] = last;
            assert_eq!(found, attributes(&set));
        }
    }

    #[test]
    fn the_keys_of_an_rpc_have_few_equal_fingerprints() {
        let keys = [
            "rpc.system.name",
            "rpc.method",
            "rpc.response.status_code",
            "server.address",
            "server.port",
            "client.address",
            "client.port",
            "network.peer.address",
            "network.peer.port",
            "network.transport",
            "network.type",
            "error.type",
        ];
        let fingerprints: HashSet<u32> = keys.into_iter().map(fingerprint).collect();
        assert!(fingerprints.len() >= keys.len() - 1, "{fingerprints:?}");
    }
}
