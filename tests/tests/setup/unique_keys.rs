//! Attributes that are set twice are exported once, with their last value.
//!
//! Data points have the first value instead, by which the SDK aggregates.

use integration_tests::child::DrivenProcess;
use integration_tests::collector::Collector;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");

/// Returns the values of an attribute.
fn values(attributes: &[KeyValue], key: &str) -> Vec<Value> {
    let found = attributes.iter().filter(|attribute| attribute.key == key);
    found
        .map(|attribute| attribute.value.clone().unwrap().value.unwrap())
        .collect()
}

#[test]
fn last_value_wins() {
    let collector = Collector::start();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url())];
    let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables);
    assert_eq!(ready, "ready");
    driven.send("twice");
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
