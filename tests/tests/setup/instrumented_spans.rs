//! `tracing` spans of user code are exported in the RPC's trace, regardless of `RUST_LOG`.

use std::collections::BTreeMap;

use integration_tests::logging_service::{LogOutput, run_logging_service};
use serde_json::{Value, json};

fn said(rust_log: &str) -> LogOutput {
    run_logging_service(env!("CARGO_BIN_EXE_logging_service"), "off", [("RUST_LOG", rust_log)])
}

/// Asserts that each span is the parent of the next, and the first has none.
fn assert_one_below_the_other(said: &LogOutput, names: &[&str]) {
    let mut parent = &Value::Null;
    let trace = &said.span(names[0]).unwrap()["context"]["trace_id"];
    for name in names {
        let span = said.span(name).unwrap();
        assert_eq!(&span["parent_id"], parent, "{name}");
        assert_eq!(&span["context"]["trace_id"], trace, "{name}");
        parent = &span["context"]["span_id"];
    }
}

#[test]
fn tracing_spans_are_children_of_the_rpc_and_parents_of_otel_spans() {
    for rust_log in ["info", "warn", "off", "debug", "trace", "[verbose]=debug"] {
        let said = said(rust_log);
        assert_one_below_the_other(&said, &["kinds.Unary/Call", "instrumented", "native"]);
        assert_one_below_the_other(&said, &["kinds.Unary/Call", "instrumented", "quiet"]);
        assert!(said.span("verbose").is_none());
    }
}

#[test]
fn verbose_logs_cause_no_spans() {
    let spans = |rust_log| {
        let mut counts = BTreeMap::new();
        for span in said(rust_log).spans {
            *counts.entry(span["name"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
        counts
    };
    let expected = spans("off");
    assert_eq!(expected["instrumented"], 1);
    for rust_log in ["debug", "trace"] {
        assert_eq!(spans(rust_log), expected, "{rust_log}");
    }
}

#[test]
fn debug_spans_are_exported_if_the_program_selects_them() {
    for (directives, rust_log) in [
        ("debug", "off"),
        ("info,logging_service=debug", "info"),
        ("info,[verbose]=debug", "trace"),
    ] {
        let said = run_logging_service(
            env!("CARGO_BIN_EXE_logging_service"),
            "off",
            [("RUST_LOG", rust_log), ("SPANS", directives)],
        );
        assert_one_below_the_other(&said, &["kinds.Unary/Call", "instrumented", "verbose", "quiet"]);
    }
    let said = run_logging_service(env!("CARGO_BIN_EXE_logging_service"), "off", [("SPANS", "off")]);
    assert!(said.span("kinds.Unary/Call").is_some(), "it is no `tracing` span");
    assert!(said.span("instrumented").is_none());
}

#[test]
fn invalid_span_directive_is_logged_and_ignored() {
    let said = run_logging_service(env!("CARGO_BIN_EXE_logging_service"), "off", [("SPANS", "info,a=loud")]);
    assert!(said.span("instrumented").is_some());
    let warning = "span_directives=\"info,a=loud\" has an invalid directive \"a=loud\": ";
    let records = said.records.iter().filter_map(|record| record["body"].as_str());
    assert_eq!(records.filter(|body| body.starts_with(warning)).count(), 1);
}

#[test]
fn tracing_spans_have_fields_and_code_location_and_no_events() {
    let said = said("debug");
    let span = said.span("instrumented").unwrap();
    let mut attributes = span["attributes"].clone();
    assert!(
        attributes
            .as_object_mut()
            .unwrap()
            .remove("code.line.number")
            .unwrap()
            .is_u64()
    );
    assert_eq!(
        attributes,
        json!({ "attempt": "1", "code.file.path": "tests/src/bin/logging_service.rs", "code.module.name": "logging_service" })
    );
    assert_eq!(span["events"], json!([]));
    assert_eq!(span["scope"]["name"], "tracing");
}
