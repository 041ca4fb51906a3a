//! Log records have the fields of the specification, and the target of the `log` crate's records.
//!
//! The fields are time, severity, body, typed attributes, and the event name, if there is one.

use integration_tests::logging_service::run_logging_service;
use serde_json::{Value, json};

fn of_target(target: &str) -> Vec<Value> {
    let said = run_logging_service(env!("CARGO_BIN_EXE_logging_service"), "off", []);
    let records = said.records.iter().filter(|record| record["target"] == target);
    let records = records.inspect(|record| assert!(record["timestamp"].is_string(), "{record}"));
    let parts = ["event_name", "severity_text", "severity_number", "body", "attributes"];
    records
        .map(|record| parts.map(|part| record[part].clone()).into())
        .collect()
}

#[test]
fn records_have_typed_attributes() {
    assert_eq!(
        of_target("fields"),
        [
            json!(["", "ERROR", 17, "many and\nfields", {
                "text": "a \"quoted\"\ntext",
                "shown": "as it is\n",
                "debugged": "Some(1)",
                "signed": -1,
                // Attributes cannot hold a `u64`, so large values are text.
                "unsigned": "18446744073709551615",
                "float": 0.5,
                "not_a_number": "NaN",
                "endless": "-Infinity",
                "truth": true,
                "exception.message": "an error occurred when formatting an argument",
                "timestamp": "ours",
                "trace_id": "ours",
                "level": 7,
                "type": "raw",
                "dotted.name": 1,
            }]),
            json!(["", "INFO", 9, null, { "only": "a field" }]),
            json!(["", "INFO", 9, "of the log crate", {}]),
        ]
    );
}

#[test]
fn records_have_the_event_name() {
    assert_eq!(
        of_target("named"),
        [json!(["greeting.sent", "INFO", 9, null, { "log.iostream": "stdout" }])]
    );
}
