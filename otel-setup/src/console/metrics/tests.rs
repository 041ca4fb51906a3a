//! The exact text of metrics, except for the times.

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::{
    Aggregation, InMemoryMetricExporter, Instrument, PeriodicReader, SdkMeterProvider, Stream,
};
use serde_json::{Value, json};

use super::*;
use crate::console::test_support::{BrokenPipe, Buffer};

/// Exports the measurements of `measure`, and returns the output.
fn export(exporter: ConsoleMetricExporter, measure: impl FnOnce(&Meter)) -> Buffer {
    let output = Buffer::default();
    let exponential = |instrument: &Instrument| {
        let aggregation = Aggregation::Base2ExponentialHistogram {
            max_size: 160,
            max_scale: 0,
            record_min_max: true,
        };
        (instrument.name() == "exponential").then(|| Stream::builder().with_aggregation(aggregation).build().unwrap())
    };
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(exporter.writer(output.clone())).build())
        .with_resource(
            Resource::builder_empty()
                .with_attribute(KeyValue::new("service.name", "shop"))
                .build(),
        )
        .with_view(exponential)
        .build();
    let scope = InstrumentationScope::builder("till").with_version("1.2").build();
    measure(&provider.meter_with_scope(scope));
    // The shutdown exports. A flush would cause a second export.
    provider.shutdown().unwrap();
    output
}

/// Returns the only line, with valid times replaced by `"now"`.
fn line(output: &Buffer) -> Value {
    let mut lines = output.json();
    assert_eq!(lines.len(), 1);
    let mut line = lines.remove(0);
    for point in line["points"].as_array_mut().unwrap() {
        for time in ["start_time", "time"] {
            let text = point[time].as_str().unwrap();
            let parsed: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(text, format!("{parsed:.6}"));
            point[time] = json!("now");
        }
    }
    line
}

fn expected(name: &str, mut rest: Value) -> Value {
    let common = json!({
        "resource": {"attributes": {"service.name": "shop"}, "schema_url": ""},
        "scope": {"name": "till", "version": "1.2", "schema_url": "", "attributes": {}},
        "name": name,
    });
    rest.as_object_mut()
        .unwrap()
        .extend(common.as_object().unwrap().clone());
    rest
}

#[test]
fn json_of_a_counter() {
    let output = export(ConsoleMetricExporter::json(), |meter| {
        let counter = meter
            .u64_counter("sold")
            .with_unit("{item}")
            .with_description("What was sold.");
        counter
            .build()
            .add(u64::MAX, &[KeyValue::new("item", "tea"), KeyValue::new("large", true)]);
    });
    let rest = json!({
        "description": "What was sold.",
        "unit": "{item}",
        "type": "sum",
        "temporality": "cumulative",
        "is_monotonic": true,
        "points": [
            {"attributes": {"item": "tea", "large": true}, "start_time": "now", "time": "now", "value": u64::MAX},
        ],
    });
    assert_eq!(line(&output), expected("sold", rest));
    let start = concat!(
        r#"{"resource":{"attributes":{"service.name":"shop"},"schema_url":""},"#,
        r#""scope":{"name":"till","version":"1.2","schema_url":"","attributes":{}},"#,
        r#""name":"sold","description":"What was sold.","unit":"{item}","#,
        r#""type":"sum","temporality":"cumulative","is_monotonic":true,"#,
        r#""points":[{"attributes":{"item":"tea","large":true},"start_time":""#,
    );
    assert!(output.text().starts_with(start), "{}", output.text());
}

#[test]
fn json_of_a_counter_with_delta_temporality() {
    let exporter = ConsoleMetricExporter::json().temporality(Temporality::Delta);
    assert_eq!(PushMetricExporter::temporality(&exporter), Temporality::Delta);
    let output = export(exporter, |meter| {
        meter.u64_counter("sold").build().add(2, &[]);
    });
    let rest = json!({
        "description": "",
        "unit": "",
        "type": "sum",
        "temporality": "delta",
        "is_monotonic": true,
        "points": [{"attributes": {}, "start_time": "now", "time": "now", "value": 2}],
    });
    assert_eq!(line(&output), expected("sold", rest));
}

#[test]
fn json_of_a_gauge() {
    let output = export(ConsoleMetricExporter::json(), |meter| {
        meter.f64_gauge("load").with_unit("1").build().record(0.5, &[]);
    });
    let rest = json!({
        "description": "",
        "unit": "1",
        "type": "gauge",
        "temporality": null,
        "is_monotonic": null,
        "points": [{"attributes": {}, "start_time": "now", "time": "now", "value": 0.5}],
    });
    assert_eq!(line(&output), expected("load", rest));
}

#[test]
fn json_of_a_histogram() {
    let output = export(ConsoleMetricExporter::json(), |meter| {
        let histogram = meter
            .f64_histogram("took")
            .with_unit("s")
            .with_boundaries(vec![1.0, 2.5]);
        let histogram = histogram.build();
        histogram.record(0.5, &[]);
        histogram.record(1.5, &[]);
        histogram.record(2.0, &[]);
    });
    let rest = json!({
        "description": "",
        "unit": "s",
        "type": "histogram",
        "temporality": "cumulative",
        "is_monotonic": null,
        "points": [{
            "attributes": {},
            "start_time": "now",
            "time": "now",
            "count": 3,
            "sum": 4.0,
            "min": 0.5,
            "max": 2.0,
            "bounds": [1.0, 2.5],
            "bucket_counts": [1, 2, 0],
        }],
    });
    assert_eq!(line(&output), expected("took", rest));
}

#[test]
fn json_of_an_exponential_histogram() {
    let output = export(ConsoleMetricExporter::json(), |meter| {
        let histogram = meter.u64_histogram("exponential").build();
        histogram.record(0, &[]);
        histogram.record(3, &[]);
    });
    let rest = json!({
        "description": "",
        "unit": "",
        "type": "exponential_histogram",
        "temporality": "cumulative",
        "is_monotonic": null,
        "points": [{
            "attributes": {},
            "start_time": "now",
            "time": "now",
            "count": 2,
            "sum": 3,
            "min": 0,
            "max": 3,
            "scale": 0,
            "zero_count": 1,
            "zero_threshold": 0.0,
            "positive": {"offset": 1, "bucket_counts": [1]},
            "negative": {"offset": 0, "bucket_counts": []},
        }],
    });
    assert_eq!(line(&output), expected("exponential", rest));
}

#[test]
fn each_instrument_has_a_line() {
    let output = export(ConsoleMetricExporter::json(), |meter| {
        meter.u64_counter("sold").build().add(1, &[]);
        meter.i64_up_down_counter("waiting").build().add(-1, &[]);
    });
    let mut lines = output.json();
    lines.sort_by_key(|line| line["name"].to_string());
    let [sold, waiting] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(sold["name"], "sold");
    assert_eq!(
        (&waiting["is_monotonic"], &waiting["points"][0]["value"]),
        (&json!(false), &json!(-1))
    );
}

#[test]
fn tables_stand_below_the_time() {
    let measure = |meter: &Meter| {
        let counter = meter.u64_counter("sold").with_description("What was sold.").build();
        counter.add(2, &[KeyValue::new("item", "tea")]);
    };
    let plain = export(ConsoleMetricExporter::pretty(), measure).text();
    let (heading, tables) = plain.split_once('\n').unwrap();
    let time = heading.strip_prefix("metrics ").unwrap();
    assert_eq!(
        time.parse::<jiff::Timestamp>()
            .map(|time| format!("{time:.6}"))
            .unwrap(),
        time
    );
    assert_eq!(
        tables,
        "\nsold: What was sold.\n item   now\n────────────\n tea      2\n\n"
    );
}

#[test]
fn no_metrics_are_no_text() {
    for exporter in [ConsoleMetricExporter::pretty(), ConsoleMetricExporter::json()] {
        assert_eq!(export(exporter, |_| {}).text(), "");
    }
}

#[test]
fn color_is_optional() {
    let output = Buffer::default();
    let exporter = ConsoleMetricExporter::pretty().writer(output.clone()).color(true);
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(exporter).build())
        .build();
    provider.meter("till").u64_counter("sold").build().add(1, &[]);
    provider.force_flush().unwrap();
    assert!(output.text().starts_with("\x1b[1mmetrics\x1b[0m 2"));
}

#[tokio::test]
async fn exports_to_a_broken_pipe_or_after_the_shutdown_fail() {
    let collected = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(collected.clone()).build())
        .build();
    provider.meter("till").u64_counter("sold").build().add(1, &[]);
    provider.force_flush().unwrap();
    let metrics = collected.get_finished_metrics().unwrap().remove(0);

    for exporter in [ConsoleMetricExporter::pretty(), ConsoleMetricExporter::json()] {
        let exporter = exporter.writer(BrokenPipe);
        let error = exporter.export(&metrics).await.unwrap_err().to_string();
        assert_eq!(error, "Operation failed: cannot write to the console: broken pipe");
        exporter.shutdown().unwrap();
        let late = exporter.export(&metrics).await;
        assert!(matches!(late, Err(OTelSdkError::AlreadyShutdown)), "{late:?}");
    }
}
