//! No measurement of a sum or a histogram is lost, whichever points get the same labels.

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::Resource;
use proptest::prelude::*;
use proptest::sample::select;

use super::parser::parse;
use super::{ACCEPTS, Metric, Program, STRATEGIES, record};

/// Instruments by their kind in [`record`]. Types of numbers differ under one name.
const INSTRUMENTS: [(u8, &str); 7] = [
    (0, "jobs"),
    (1, "jobs"),
    (2, "open"),
    (4, "time"),
    (5, "time"),
    (4, "exponential"),
    (5, "exponential"),
];

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute = (
        select(&["a.b", "a_b", "a/b", "tenant"][..]),
        select(&["", "x", "x;y", "y"][..]),
    );
    prop::collection::vec(attribute.prop_map(|(key, value)| KeyValue::new(key, value)), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_text_has_all_that_was_recorded(
        points in prop::collection::vec((select(&INSTRUMENTS[..]), attributes(), 0..100_u32), 1..12),
        strategy in select(&STRATEGIES[..]),
        first in 0..4_usize,
    ) {
        let program = Program::new(strategy, Resource::builder_empty().build());
        let meter = program.provider.meter("");
        for ((kind, name), attributes, value) in &points {
            let points = vec![(attributes.clone(), f64::from(*value))];
            record(&meter, &Metric { kind: *kind, name, unit: "", description: "", scope: 0, points });
        }
        for index in 0..4 {
            let (accept, rules) = ACCEPTS[(first + index) % 4];
            let text = program.text(accept);
            let families = parse(&text, rules).unwrap();
            let samples: Vec<_> = families.iter().flat_map(|family| &family.samples).collect();
            let total = |name: &str, suffixes: &[&str]| {
                let found = samples.iter().filter(|sample| {
                    sample.name.strip_prefix(name).is_some_and(|suffix| suffixes.contains(&suffix))
                });
                found.map(|sample| sample.value).sum::<f64>()
            };
            for name in ["jobs", "open", "time", "exponential"] {
                let recorded = || points.iter().filter(|((_, of), ..)| *of == name).map(|(.., value)| f64::from(*value));
                let sum: f64 = recorded().sum();
                prop_assert!((total(name, &["", "_total", "_sum"]) - sum).abs() < 1e-9, "{name}: {sum} in {text}");
                if ["time", "exponential"].contains(&name) {
                    let count = recorded().map(|_| 1.0).sum::<f64>();
                    prop_assert!((total(name, &["_count"]) - count).abs() < 1e-9, "{name}: {count} in {text}");
                }
            }
        }
    }
}
