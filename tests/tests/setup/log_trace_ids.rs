//! Events in an RPC have its trace ID and span ID, in log lines and in log records.
//!
//! Events outside of an RPC have none.

use integration_tests::logging_service::{LogOutput, run_logging_service};
use serde_json::{Value, json};

fn said() -> LogOutput {
    run_logging_service(env!("CARGO_BIN_EXE_logging_service"), "json", [])
}

/// Returns the IDs of a log record, in the format of a line.
fn of_record(record: &Value) -> Value {
    let id = |key: &str| record[key].as_str().map(|id| id.strip_prefix("0x").unwrap());
    let flags = record["trace_flags"].as_u64().map(|flags| format!("{flags:02x}"));
    json!({ "trace_id": id("trace_id"), "span_id": id("span_id"), "trace_flags": flags })
}

/// Returns the IDs of a line, with `null` for missing ones.
fn of_line(line: &Value) -> Value {
    json!({ "trace_id": line["trace_id"], "span_id": line["span_id"], "trace_flags": line["trace_flags"] })
}

/// Returns the IDs that events inside a span must have.
fn of_span(span: &Value) -> Value {
    let id = |key: &str| span["context"][key].as_str().unwrap().strip_prefix("0x").unwrap();
    json!({ "trace_id": id("trace_id"), "span_id": id("span_id"), "trace_flags": "01" })
}

fn assert_all_in(said: &LogOutput, span: &str, messages: &[&str]) {
    let expected = of_span(said.span(span).unwrap());
    for message in messages {
        assert_eq!(of_line(said.line(message).unwrap()), expected, "{message}");
        assert_eq!(of_record(said.record(message).unwrap()), expected, "{message}");
    }
}

#[test]
fn events_in_a_handler() {
    assert_all_in(&said(), "kinds.Unary/Call", &["in a handler"]);
}

#[test]
fn events_in_an_instrumented_function() {
    assert_all_in(&said(), "instrumented", &["in an instrumented function"]);
}

#[test]
fn events_in_a_response_stream() {
    assert_all_in(&said(), "kinds.ServerStream/Call", &["in a response stream"]);
}

const CARRIED: [&str; 3] = ["in a task", "on a thread for what blocks", "on a thread"];

#[test]
fn events_in_tasks_and_threads_with_the_context() {
    assert_all_in(&said(), "kinds.Unary/Call", &CARRIED);
}

#[test]
fn baggage_in_tasks_and_threads() {
    let said = said();
    for message in CARRIED {
        assert_eq!(said.line(message).unwrap()["fields"]["user"], "ada", "{message}");
    }
}

#[test]
fn events_outside_of_an_rpc_have_no_ids() {
    let said = said();
    for message in ["outside", "in a task that carries nothing"] {
        let line = said.line(message).unwrap().as_object().unwrap();
        for id in ["trace_id", "span_id", "trace_flags"] {
            assert!(!line.contains_key(id), "{line:?}");
        }
        let none = json!({ "trace_id": null, "span_id": null, "trace_flags": null });
        assert_eq!(of_record(said.record(message).unwrap()), none);
    }
}
