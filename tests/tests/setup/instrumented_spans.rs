//! `tracing` spans of user code are exported in the RPC's trace, regardless of `RUST_LOG`.

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
    for rust_log in ["info", "warn", "off"] {
        let said = said(rust_log);
        assert_one_below_the_other(&said, &["kinds.Unary/Call", "instrumented", "native"]);
        assert_one_below_the_other(&said, &["kinds.Unary/Call", "instrumented", "quiet"]);
        assert!(said.span("verbose").is_none());
    }
}

#[test]
fn debug_spans_are_recorded_if_rust_log_enables_them() {
    for rust_log in ["debug", "warn,logging_service=debug", "off,[verbose]=debug"] {
        assert_one_below_the_other(
            &said(rust_log),
            &["kinds.Unary/Call", "instrumented", "verbose", "quiet"],
        );
    }
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
