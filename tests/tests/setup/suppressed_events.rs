//! While telemetry is suppressed, as in exporters, `tracing` events become log lines only.

use integration_tests::logging_service::run_logging_service;
use serde_json::Value;

#[test]
fn suppressed_events_create_neither_log_records_nor_spans() {
    for rust_log in ["info", "trace"] {
        let said = run_logging_service(env!("CARGO_BIN_EXE_logging_service"), "json", [("RUST_LOG", rust_log)]);
        assert!(said.line("suppressed").is_some());
        let text = |objects: &[Value]| objects.iter().map(Value::to_string).collect::<String>();
        assert!(!text(&said.records).contains("suppressed"));
        assert!(!text(&said.spans).contains("suppressed"));
        assert!(said.record("outside").is_some());
    }
}
