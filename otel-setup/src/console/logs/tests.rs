//! The exact text of log records.

use std::collections::HashMap;

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider};
use opentelemetry::trace::{SpanId, TraceFlags, TraceId};
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use serde_json::json;

use super::*;
use crate::console::test_support::{BrokenPipe, Buffer, at};

/// Exports the record that `fill` sets, and returns the output.
fn export(exporter: ConsoleLogExporter, fill: impl FnOnce(&mut SdkLogRecord)) -> Buffer {
    let output = Buffer::default();
    let provider = SdkLoggerProvider::builder()
        .with_simple_exporter(exporter.writer(output.clone()))
        .with_resource(
            Resource::builder_empty()
                .with_attribute(KeyValue::new("service.name", "shop"))
                .build(),
        )
        .build();
    let scope = InstrumentationScope::builder("till").with_version("1.2").build();
    let logger = provider.logger_with_scope(scope);
    let mut record = logger.create_log_record();
    fill(&mut record);
    logger.emit(record);
    output
}

fn full(record: &mut SdkLogRecord) {
    record.set_timestamp(at(0));
    record.set_observed_timestamp(at(1));
    record.set_severity_text("WARN");
    record.set_severity_number(Severity::Warn);
    record.set_event_name("shop.sold_out");
    record.set_target("shop::till");
    record.set_body("sold \"out\"\n".into());
    record.set_trace_context(
        TraceId::from(0xabc_u128 << 112),
        SpanId::from(2),
        Some(TraceFlags::SAMPLED),
    );
    record.add_attribute("integer", 7);
    record.add_attribute("float", f64::INFINITY);
    record.add_attribute("bool", true);
    record.add_attribute("bytes", AnyValue::from(&[0_u8, 255][..]));
    record.add_attribute("list", AnyValue::ListAny(Box::new(vec![1.into(), "a".into()])));
    let map = HashMap::from([(Key::new("b"), AnyValue::from(2.5)), (Key::new("a"), "\x1b".into())]);
    record.add_attribute("map", AnyValue::Map(Box::new(map)));
}

#[test]
fn json_contains_all_fields_with_their_types() {
    let output = export(ConsoleLogExporter::json(), full);
    let expected = json!({
        "timestamp": "2027-01-15T08:00:00.000000Z",
        "observed_timestamp": "2027-01-15T08:00:00.001000Z",
        "severity_text": "WARN",
        "severity_number": 13,
        "event_name": "shop.sold_out",
        "target": "shop::till",
        "body": "sold \"out\"\n",
        "attributes": {
            "integer": 7,
            "float": "Infinity",
            "bool": true,
            "bytes": "AP8=",
            "list": [1, "a"],
            "map": {"a": "\u{1b}", "b": 2.5},
        },
        "trace_id": "0x0abc0000000000000000000000000000",
        "span_id": "0x0000000000000002",
        "trace_flags": 1,
        "resource": {"attributes": {"service.name": "shop"}, "schema_url": ""},
        "scope": {"name": "till", "version": "1.2", "schema_url": "", "attributes": {}},
    });
    assert_eq!(output.json(), [expected]);
}

#[test]
fn json_contains_unset_fields() {
    let output = export(ConsoleLogExporter::json(), |record| {
        record.set_observed_timestamp(at(1));
    });
    assert_eq!(
        output.text(),
        concat!(
            r#"{"timestamp":null,"observed_timestamp":"2027-01-15T08:00:00.001000Z","#,
            r#""severity_text":"","severity_number":null,"event_name":"","target":"","body":null,"attributes":{},"#,
            r#""trace_id":null,"span_id":null,"trace_flags":null,"#,
            r#""resource":{"attributes":{"service.name":"shop"},"schema_url":""},"#,
            r#""scope":{"name":"till","version":"1.2","schema_url":"","attributes":{}}}"#,
            "\n"
        )
    );
}

#[test]
fn a_line_shows_all_fields() {
    let output = export(ConsoleLogExporter::pretty(), full);
    assert_eq!(
        output.text(),
        "2027-01-15T08:00:00.000000Z WARN  shop::till: sold \"out\"\\n integer=7 float=\"Infinity\" bool=true \
         bytes=\"AP8=\" list=[1,\"a\"] map={\"a\":\"\\u001b\",\"b\":2.5} trace=0abc0000\n"
    );
}

#[test]
fn a_line_omits_unset_fields() {
    let event = |record: &mut SdkLogRecord| {
        record.set_observed_timestamp(at(1));
        record.set_severity_number(Severity::Error2);
        record.set_event_name("shop.burnt");
    };
    assert_eq!(
        export(ConsoleLogExporter::pretty(), event).text(),
        "2027-01-15T08:00:00.001000Z ERROR2 till: shop.burnt\n"
    );
    let empty = |record: &mut SdkLogRecord| record.set_observed_timestamp(at(1));
    assert_eq!(
        export(ConsoleLogExporter::pretty(), empty).text(),
        "2027-01-15T08:00:00.001000Z -     till:\n"
    );
}

#[test]
fn color_highlights_the_severity() {
    for (severity, color) in [
        (Severity::Info, "INFO "),
        (Severity::Warn3, "\x1b[33mWARN3\x1b[0m"),
        (Severity::Fatal, "\x1b[31mFATAL\x1b[0m"),
    ] {
        let provider = SdkLoggerProvider::builder();
        let output = Buffer::default();
        let exporter = ConsoleLogExporter::pretty().writer(output.clone()).color(true);
        let provider = provider.with_simple_exporter(exporter).build();
        let logger = provider.logger("till");
        let mut record = logger.create_log_record();
        record.set_severity_number(severity);
        logger.emit(record);
        let text = output.text();
        assert!(
            text.contains(&format!("\x1b[0m {color} \x1b[2mtill:\x1b[0m")),
            "{text:?}"
        );
    }
}

/// An exporter that exports each batch twice, with a shutdown in between. Tests cannot create a
/// batch themselves.
#[derive(Clone, Debug)]
struct ExportTwice(ConsoleLogExporter, std::sync::Arc<std::sync::Mutex<Vec<OTelSdkResult>>>);

impl LogExporter for ExportTwice {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records: Vec<_> = batch.iter().collect();
        for _ in 0..2 {
            let result = self.0.export(LogBatch::new(&records)).await;
            self.1.lock().unwrap().push(result);
            self.0.shutdown()?;
        }
        Ok(())
    }
}

#[test]
fn exports_to_a_broken_pipe_or_after_the_shutdown_fail() {
    let twice = ExportTwice(
        ConsoleLogExporter::pretty().writer(BrokenPipe),
        std::sync::Arc::default(),
    );
    let provider = SdkLoggerProvider::builder().with_simple_exporter(twice.clone()).build();
    let logger = provider.logger("till");
    logger.emit(logger.create_log_record());
    let results = twice.1.lock().unwrap();
    let [Err(broken), Err(OTelSdkError::AlreadyShutdown)] = &results[..] else {
        panic!("{results:?}")
    };
    assert!(broken.to_string().contains("broken pipe"), "{broken}");
}
