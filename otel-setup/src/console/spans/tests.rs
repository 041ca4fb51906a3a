//! The exact text of spans.

use opentelemetry::trace::{Event, Link, SpanKind, Status, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkError;
use serde_json::json;

use super::*;
use crate::console::test_support::{BrokenPipe, Buffer, at, context, span};

fn resource() -> Resource {
    let builder = Resource::builder_empty();
    let attributes = [KeyValue::new("service.name", "shop"), KeyValue::new("process.pid", 7)];
    builder
        .with_schema_url(attributes, "https://opentelemetry.io/schemas/1.45.0")
        .build()
}

/// Returns a span with all fields set: `full.json`.
fn full() -> SpanData {
    let mut span = span(2, 1, "Shop/Order", SpanKind::Server, (0, 1500));
    let state = TraceState::from_key_value([("vendor", "value"), ("other", "1")]).unwrap();
    let own = &span.span_context;
    span.span_context =
        opentelemetry::trace::SpanContext::new(own.trace_id(), own.span_id(), own.trace_flags(), false, state);
    span.status = Status::error("sold out");
    span.attributes = vec![
        KeyValue::new("text", "first"),
        KeyValue::new("integer", i64::MAX),
        KeyValue::new("float", 0.5),
        KeyValue::new("whole", 2.0),
        KeyValue::new("none", f64::NAN),
        KeyValue::new("much", f64::INFINITY),
        KeyValue::new("little", f64::NEG_INFINITY),
        KeyValue::new("bool", true),
        KeyValue::new("texts", Value::Array(Array::String(vec!["a".into(), "b".into()]))),
        KeyValue::new("integers", Value::Array(Array::I64(vec![1, 2]))),
        KeyValue::new("floats", Value::Array(Array::F64(vec![1.5, f64::NAN]))),
        KeyValue::new("bools", Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("text", "\"last\"\n"),
    ];
    span.dropped_attributes_count = 3;
    span.events.events = vec![
        Event::new("paid", at(10), vec![KeyValue::new("cents", 99)], 1),
        Event::new("packed", at(20), Vec::new(), 0),
    ];
    span.events.dropped_count = 4;
    span.links.links = vec![Link::new(context(9, 8), vec![KeyValue::new("why", "again")], 2)];
    span.links.dropped_count = 5;
    span.instrumentation_scope = InstrumentationScope::builder("otel-runtime")
        .with_version("0.1.0")
        .with_schema_url("https://opentelemetry.io/schemas/1.45.0")
        .with_attributes([KeyValue::new("of", "scope")])
        .build();
    span
}

#[tokio::test]
async fn json_contains_all_fields_with_their_types() {
    let output = Buffer::default();
    let mut exporter = ConsoleSpanExporter::json().writer(output.clone());
    exporter.set_resource(&resource());
    exporter.export(vec![full()]).await.unwrap();
    let expected: serde_json::Value = serde_json::from_str(include_str!("full.json")).unwrap();
    assert_eq!(output.json(), [expected]);
}

#[tokio::test]
async fn json_contains_unset_fields() {
    let output = Buffer::default();
    let exporter = ConsoleSpanExporter::json().writer(output.clone());
    exporter
        .export(vec![span(1, 0, "root", SpanKind::Internal, (0, 0))])
        .await
        .unwrap();

    assert_eq!(
        output.text(),
        concat!(
            r#"{"name":"root","#,
            r#""context":{"trace_id":"0x00000000000000000000000000000001","span_id":"0x0000000000000001","trace_state":""},"#,
            r#""kind":"SpanKind.INTERNAL","parent_id":null,"#,
            r#""start_time":"2027-01-15T08:00:00.000000Z","end_time":"2027-01-15T08:00:00.000000Z","#,
            r#""status":{"status_code":"UNSET"},"attributes":{},"events":[],"links":[],"#,
            r#""resource":{"attributes":{},"schema_url":""},"#,
            r#""scope":{"name":"","version":"","schema_url":"","attributes":{}}}"#,
            "\n"
        )
    );
}

#[tokio::test]
async fn json_names_kinds_and_statuses() {
    let output = Buffer::default();
    let exporter = ConsoleSpanExporter::json().writer(output.clone());
    let kinds = [
        (
            SpanKind::Client,
            Status::Ok,
            "SpanKind.CLIENT",
            json!({"status_code": "OK"}),
        ),
        (
            SpanKind::Server,
            Status::error(""),
            "SpanKind.SERVER",
            json!({"status_code": "ERROR"}),
        ),
        (
            SpanKind::Producer,
            Status::Unset,
            "SpanKind.PRODUCER",
            json!({"status_code": "UNSET"}),
        ),
        (
            SpanKind::Consumer,
            Status::Ok,
            "SpanKind.CONSUMER",
            json!({"status_code": "OK"}),
        ),
    ];
    let spans = kinds.iter().map(|(kind, status, ..)| {
        let mut span = span(2, 1, "child", kind.clone(), (0, 0));
        span.status = status.clone();
        span
    });
    exporter.export(spans.collect()).await.unwrap();
    let lines = output.json();
    assert_eq!(lines.len(), kinds.len());
    for (line, (_, _, kind, status)) in lines.iter().zip(&kinds) {
        assert_eq!((&line["kind"], &line["status"]), (&json!(kind), status));
    }
}

#[tokio::test]
async fn a_root_a_flush_and_the_shutdown_draw_waterfalls() {
    let output = Buffer::default();
    let exporter = ConsoleSpanExporter::pretty().writer(output.clone());
    let internal = |id, parent, name| span(id, parent, name, SpanKind::Internal, (0, 30));
    exporter.export(vec![internal(2, 1, "child")]).await.unwrap();
    assert_eq!(output.text(), "");
    exporter.export(vec![internal(1, 0, "root")]).await.unwrap();
    let trace = "\
trace 1 00000000000000000000000000000001
root      internal     30.0ms    ██████████████████████████████
└─ child  internal     30.0ms    ██████████████████████████████

";
    assert_eq!(output.text(), trace);

    exporter.export(vec![internal(4, 3, "flushed")]).await.unwrap();
    exporter.clone().force_flush().unwrap();
    let flushed = "\
trace 1 00000000000000000000000000000001 continued
(missing parent 0000000000000003)
└─ flushed  internal     30.0ms    ██████████████████████████████

";
    assert_eq!(output.text(), format!("{trace}{flushed}"));

    exporter.export(vec![internal(6, 5, "last")]).await.unwrap();
    exporter.shutdown().unwrap();
    assert!(output.text().contains("└─ last"));
    let all = output.text();
    exporter.shutdown().unwrap();
    let late = exporter.export(vec![internal(7, 0, "too late")]).await;
    assert!(matches!(late, Err(OTelSdkError::AlreadyShutdown)), "{late:?}");
    assert!(matches!(exporter.force_flush(), Err(OTelSdkError::AlreadyShutdown)));
    assert_eq!(output.text(), all);
}

#[tokio::test]
async fn color_is_optional() {
    for (color, expected) in [(false, false), (true, true)] {
        let output = Buffer::default();
        let exporter = ConsoleSpanExporter::pretty().writer(output.clone()).color(color);
        exporter
            .export(vec![span(1, 0, "root", SpanKind::Internal, (0, 0))])
            .await
            .unwrap();
        assert_eq!(output.text().contains('\x1b'), expected);
    }
}

#[tokio::test]
async fn exports_to_a_broken_pipe_fail() {
    for exporter in [ConsoleSpanExporter::pretty(), ConsoleSpanExporter::json()] {
        let exporter = exporter.writer(BrokenPipe);
        for _ in 0..2 {
            let root = span(1, 0, "root", SpanKind::Internal, (0, 0));
            let error = exporter.export(vec![root]).await.unwrap_err().to_string();
            assert_eq!(error, "Operation failed: cannot write to the console: broken pipe");
        }
    }
}
