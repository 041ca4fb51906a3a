//! Any program's metrics are valid text.

mod family;
mod parser;
mod sums;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};
use proptest::prelude::*;
use proptest::sample::select;

use self::family::Rules;
use self::parser::parse;
use super::names::TranslationStrategy;
use super::negotiation::Format;
use super::scraper::Scraper;
use crate::metric_reader::Reader;

/// The formats that scrapers ask for.
const ACCEPTS: [(&str, Rules); 4] = [
    (
        "",
        Rules {
            is_open_metrics: false,
            is_utf8: false,
        },
    ),
    (
        "application/openmetrics-text;version=1.0.0",
        Rules {
            is_open_metrics: true,
            is_utf8: false,
        },
    ),
    (
        "text/plain;version=1.0.0;escaping=allow-utf-8",
        Rules {
            is_open_metrics: false,
            is_utf8: true,
        },
    ),
    (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
        Rules {
            is_open_metrics: true,
            is_utf8: true,
        },
    ),
];

const STRATEGIES: [TranslationStrategy; 4] = [
    TranslationStrategy::UnderscoreEscapingWithSuffixes,
    TranslationStrategy::UnderscoreEscapingWithoutSuffixes,
    TranslationStrategy::NoUtf8EscapingWithSuffixes,
    TranslationStrategy::NoTranslation,
];

/// A program with a meter provider that this endpoint reads.
struct Program {
    scraper: Scraper,
    provider: SdkMeterProvider,
}

impl Program {
    fn new(strategy: TranslationStrategy, resource: Resource) -> Self {
        let reader = Reader::default();
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader.clone())
            .with_view(|instrument: &Instrument| {
                let is_exponential =
                    instrument.kind() == InstrumentKind::Histogram && instrument.name().contains("exponential");
                let aggregation = Aggregation::Base2ExponentialHistogram {
                    max_size: 160,
                    max_scale: 20,
                    record_min_max: true,
                };
                is_exponential.then(|| Stream::builder().with_aggregation(aggregation).build().unwrap())
            })
            .build();
        Program {
            scraper: Scraper::new(reader, strategy),
            provider,
        }
    }

    fn text(&self, accept: &str) -> String {
        self.scraper.scrape(Format::negotiate(accept)).unwrap()
    }
}

/// An instrument with its data points.
#[derive(Clone, Debug)]
struct Metric {
    kind: u8,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    scope: usize,
    points: Vec<(Vec<KeyValue>, f64)>,
}

fn scopes() -> [InstrumentationScope; 4] {
    [
        InstrumentationScope::builder("a").build(),
        InstrumentationScope::builder("b")
            .with_version("1")
            .with_schema_url("https://a.example")
            .build(),
        InstrumentationScope::builder("").build(),
        InstrumentationScope::builder("a")
            .with_attributes([
                KeyValue::new("name", "c"),
                KeyValue::new("1st", true),
                KeyValue::new("é.", "\""),
            ])
            .build(),
    ]
}

fn record(meter: &Meter, metric: &Metric) {
    let (name, unit, description) = (metric.name, metric.unit, metric.description);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    for (attributes, value) in &metric.points {
        // The SDK's sum of larger ones overflows.
        let small = value.min(1e9) as u64;
        macro_rules! build {
            ($instrument:ident) => {
                meter
                    .$instrument(name)
                    .with_unit(unit)
                    .with_description(description)
                    .build()
            };
        }
        match metric.kind {
            0 => build!(u64_counter).add(small, attributes),
            1 => build!(f64_counter).add(*value, attributes),
            2 => build!(i64_up_down_counter).add(*value as i64, attributes),
            3 => build!(f64_gauge).record(*value, attributes),
            4 => build!(f64_histogram).record(*value, attributes),
            5 => build!(u64_histogram).record(small, attributes),
            _ => {
                let (attributes, value) = (attributes.clone(), *value);
                let counter = meter.f64_observable_counter(name).with_unit(unit);
                counter
                    .with_callback(move |observer| observer.observe(value, &attributes))
                    .build();
            }
        }
    }
}

const NAMES: [&str; 24] = [
    "a",
    "a_total",
    "a_bucket",
    "a_count",
    "a_sum",
    "a_created",
    "a.b",
    "a_b",
    "a/b",
    "a-b",
    "a__b.",
    "target",
    "target_info",
    "A",
    "total",
    "ratio",
    "a.seconds",
    "a_seconds",
    "a.bytes_per_second",
    "exponential",
    "exponential.total",
    "s_",
    "up",
    "otel_scope_info",
];
const UNITS: [&str; 14] = [
    "",
    "s",
    "ms",
    "1",
    "%",
    "By",
    "By/s",
    "{request}",
    "{request}/s",
    "EUR",
    "/",
    "m^2/s",
    "_",
    "total",
];
const TEXTS: [&str; 10] = ["", "a", "\"", "\\", "\n", "é🦀", "a;b", "\r\0", "# EOF", "\\n\"} 1"];
const KEYS: [&str; 16] = [
    "a",
    "a.b",
    "a_b",
    "1st",
    "le",
    "quantile",
    "",
    "é",
    "__name__",
    "_",
    "job",
    "otel.scope.name",
    "otel_scope_version",
    "a\"b\n",
    "exported_le",
    "a:b",
];
const VALUES: [f64; 12] = [
    0.0,
    1.0,
    0.003,
    7.5,
    -1.0,
    1e300,
    -1e300,
    1e-300,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    123_456_789.0,
];

/// Any text. `any::<String>()` would parse the regular expression that describes it for each.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..32).prop_map(String::from_iter)
}

fn attribute() -> impl Strategy<Value = KeyValue> {
    let value = prop_oneof![
        select(&TEXTS[..]).prop_map(Value::from),
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        select(&VALUES[..]).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        select(&TEXTS[..]).prop_map(|text| Value::Array(Array::String(vec![StringValue::from(text)]))),
    ];
    let key = prop_oneof![select(&KEYS[..]).prop_map(str::to_owned), text()];
    (key, value).prop_map(|(key, value)| KeyValue::new(key, value))
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    prop::collection::vec(attribute(), 0..4)
}

fn metric() -> impl Strategy<Value = Metric> {
    let points = prop::collection::vec((attributes(), select(&VALUES[..])), 1..4);
    let texts = (select(&NAMES[..]), select(&UNITS[..]), select(&TEXTS[..]));
    (0..7_u8, texts, 0..4_usize, points).prop_map(|(kind, (name, unit, description), scope, points)| Metric {
        kind,
        name,
        unit,
        description,
        scope,
        points,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_metrics_of_any_program_are_valid(
        metrics in prop::collection::vec(metric(), 1..6),
        resource in attributes(),
        strategy in select(&STRATEGIES[..]),
        first in 0..4_usize,
    ) {
        let program = Program::new(strategy, Resource::builder_empty().with_attributes(resource).build());
        let meters = scopes().map(|scope| program.provider.meter_with_scope(scope));
        for metric in &metrics {
            record(&meters[metric.scope], metric);
        }
        for index in 0..4 {
            let (accept, rules) = ACCEPTS[(first + index) % 4];
            let text = program.text(accept);
            if let Err(problem) = parse(&text, rules) {
                prop_assert!(false, "{problem}\n{text}");
            }
        }
    }
}
