//! Attributes that are set again are exported once, with their last value, and counted once.
//!
//! Data points have the first value instead, by which the SDK aggregates.

use integration_tests::child::DrivenProcess;
use integration_tests::collector::Collector;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::config_file::file;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");

/// Returns the values of an attribute.
fn values(attributes: &[KeyValue], key: &str) -> Vec<Value> {
    let found = attributes.iter().filter(|attribute| attribute.key == key);
    found
        .map(|attribute| attribute.value.clone().unwrap().value.unwrap())
        .collect()
}

#[test]
fn limits_count_keys() {
    const FILE: &str = r#"
file_format: "1.0"
tracer_provider:
  limits: {attribute_count_limit: 2, event_attribute_count_limit: 1, link_attribute_count_limit: 3}
  processors: [batch: {exporter: {otlp_grpc: {endpoint: "${COLLECTOR}"}}}]
"#;
    const ALL: &[(&str, i64)] = &[("first", 0), ("often", 399), ("last", 0)];
    let collector = Collector::start();
    let (_directory, path) = file(FILE);
    let path = ("OTEL_CONFIG_FILE", path.to_str().unwrap());
    // The attributes of the span, of the event and of the link, and the numbers of those dropped.
    for (times, arguments, variables, expected) in [
        (400, &[][..], &[][..], [(ALL, 0), (ALL, 0), (ALL, 0)]),
        (
            400,
            &[],
            &[
                ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2"),
                ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "0"),
            ],
            [(&ALL[..2], 1), (&[], 3), (ALL, 0)],
        ),
        (
            400,
            &[],
            &[("OTEL_ATTRIBUTE_COUNT_LIMIT", "3")],
            [(ALL, 0), (ALL, 0), (ALL, 0)],
        ),
        (400, &[], &[path], [(&ALL[..2], 1), (&ALL[..1], 2), (ALL, 0)]),
        // The SDK counts each value beyond its room.
        (1000, &[], &[], [(&[("first", 0), ("often", 510)], 490); 3]),
        (
            1000,
            &[],
            &[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1002")],
            [
                (&[("first", 0), ("often", 999), ("last", 0)], 0),
                (&[("first", 0), ("often", 510)], 490),
                (&[("first", 0), ("often", 510)], 490),
            ],
        ),
        // The program's own limit, of the SDK.
        (
            1000,
            &["span_limit=2"],
            &[("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "3")],
            [
                (&[("first", 0), ("often", 0)], 1000),
                (&[("first", 0), ("often", 126)], 874),
                (&[("first", 0), ("often", 1)], 999),
            ],
        ),
    ] {
        let url = collector.url();
        let variables = variables
            .iter()
            .copied()
            .chain([("COLLECTOR", &*url), ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)]);
        let arguments: Vec<&str> = ["bare"].into_iter().chain(arguments.iter().copied()).collect();
        let (mut driven, ready) = DrivenProcess::start(DRIVEN, &arguments, variables);
        assert_eq!(ready, "ready");
        driven.send(&format!("often {times}"));
        let answer = driven.send("shutdown 20000");
        assert!(answer.starts_with("ok "), "{answer}");
        drop(driven.end());

        let spans = collector.spans();
        let span = spans.iter().rfind(|span| span.name == "set often").unwrap();
        let (event, link) = (&span.events[0], &span.links[0]);
        let found = [
            (&span.attributes, span.dropped_attributes_count),
            (&event.attributes, event.dropped_attributes_count),
            (&link.attributes, link.dropped_attributes_count),
        ];
        for (place, ((attributes, dropped), (expected, expected_dropped))) in
            found.into_iter().zip(expected).enumerate()
        {
            let attributes: Vec<_> = attributes
                .iter()
                .map(|attribute| (&*attribute.key, attribute.value.clone().unwrap().value.unwrap()))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(key, value)| (*key, Value::IntValue(*value)))
                .collect();
            assert_eq!(
                (attributes, dropped),
                (expected, expected_dropped),
                "{times} {arguments:?} {place}"
            );
        }
    }
}

#[test]
fn last_value_wins() {
    let collector = Collector::start();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url())];
    let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables);
    assert_eq!(ready, "ready");
    driven.send("twice");
    driven.send("often 400");
    let answer = driven.send("shutdown 20000");
    assert!(answer.starts_with("ok "), "{answer}");
    drop(driven.end());

    let scopes: Vec<_> = collector
        .received()
        .into_iter()
        .flat_map(|received| received.scopes())
        .collect();
    let scopes: Vec<_> = scopes.iter().filter(|scope| !scope.attributes.is_empty()).collect();
    assert_eq!(scopes.len(), 2, "of spans and of metrics");
    for scope in scopes {
        assert_eq!(values(&scope.attributes, "my"), [Value::IntValue(2)]);
    }

    let spans = collector.spans();
    let span = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(values(&span("set twice").attributes, "my"), [Value::IntValue(2)]);
    assert_eq!(
        values(&span("set twice").events[0].attributes, "my"),
        [Value::IntValue(4)]
    );
    assert_eq!(values(&span("recorded twice").attributes, "my"), [Value::IntValue(2)]);

    assert_eq!(
        values(&span("recorded often").attributes, "often"),
        [Value::IntValue(399)]
    );

    let records = collector.log_records();
    let record = |body: &str| {
        let body = Some(Value::StringValue(body.to_owned()));
        records
            .iter()
            .find(|record| record.body.as_ref().and_then(|found| found.value.clone()) == body)
            .unwrap()
    };
    let inside = record("in a span");
    assert_eq!(values(&inside.attributes, "my"), [Value::IntValue(2)]);
    let overridden = record("with a field of its own");
    assert_eq!(values(&overridden.attributes, "my"), [Value::IntValue(3)]);
    // Nothing else of the record is lost.
    let parts = |record: &opentelemetry_proto::tonic::logs::v1::LogRecord| {
        (
            record.severity_number,
            record.severity_text.clone(),
            record.trace_id.clone(),
            record.span_id.clone(),
        )
    };
    assert_eq!(parts(overridden), parts(record("without a field")));
    assert!(overridden.time_unix_nano > 0 && !overridden.trace_id.is_empty());

    for (name, expected) in [("twice", 50), ("twice.too", 50)] {
        let metric = collector
            .metrics()
            .into_iter()
            .find(|metric| metric.name == name)
            .unwrap();
        let attributes: Vec<Vec<KeyValue>> = match metric.data.unwrap() {
            Data::Sum(sum) => sum.data_points.into_iter().map(|point| point.attributes).collect(),
            Data::Histogram(histogram) => histogram
                .data_points
                .into_iter()
                .map(|point| point.attributes)
                .collect(),
            other => panic!("{other:?}"),
        };
        assert_eq!(attributes.len(), expected, "{name}");
        for attributes in attributes {
            assert_eq!(values(&attributes, "my"), [Value::IntValue(1)], "{name}");
            assert_eq!(attributes.len(), 2, "{name}: {attributes:?}");
        }
    }
}
