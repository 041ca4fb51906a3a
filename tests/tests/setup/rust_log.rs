//! `RUST_LOG` selects the events that become log lines and log records, but no spans of traces.

use integration_tests::logging_service::{LogOutput, run_logging_service};
use serde_json::Value;

fn said(rust_log: &str) -> LogOutput {
    run_logging_service(env!("CARGO_BIN_EXE_logging_service"), "json", [("RUST_LOG", rust_log)])
}

/// Events of different levels and targets, in the order in which they are logged.
const EVENTS: [&str; 4] = [
    "outside",
    "details",
    "in an instrumented function",
    "in a verbose function",
];

fn assert_heard(rust_log: &str, expected: &[&str]) -> LogOutput {
    let said = said(rust_log);
    let heard = |objects: &[Value], key: &str| -> Vec<String> {
        let messages = objects.iter().filter_map(|object| object[key].as_str());
        let ours = messages.filter(|message| EVENTS.contains(message));
        ours.map(str::to_owned).collect()
    };
    assert_eq!(
        heard(&said.lines, "message"),
        expected,
        "lines with RUST_LOG={rust_log}"
    );
    assert_eq!(
        heard(&said.records, "body"),
        expected,
        "records with RUST_LOG={rust_log}"
    );
    said
}

#[test]
fn default_level_is_info() {
    let info = ["outside", "in an instrumented function"];
    let said = run_logging_service(env!("CARGO_BIN_EXE_logging_service"), "json", []);
    assert!(said.line("outside").is_some());
    assert!(said.line("details").is_none());
    for rust_log in ["", "info"] {
        assert_heard(rust_log, &info);
    }
}

#[test]
fn level_without_a_target() {
    assert_heard("debug", &EVENTS);
    assert_heard("TRACE", &EVENTS);
    assert_heard("warn", &["in an instrumented function"]);
    assert_heard("off", &[]);
}

#[test]
fn directive_with_a_target() {
    assert_heard(
        "info,details=debug",
        &["outside", "details", "in an instrumented function"],
    );
    assert_heard("details=debug", &["details"]);
    assert_heard(
        "warn,logging_service=debug",
        &["outside", "in an instrumented function", "in a verbose function"],
    );
}

#[test]
fn directive_with_a_span() {
    assert_heard("off,[verbose]=debug", &["in a verbose function"]);
}

#[test]
fn invalid_directive_is_logged_and_ignored() {
    let warning = |list: &str| {
        format!(
            "RUST_LOG={list:?} has an invalid directive \"details=loud\": error parsing level filter: expected one of \
             \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5; ignoring it"
        )
    };
    let expectations: [(&str, &[&str]); 3] = [
        ("details=loud", &["outside", "in an instrumented function"]),
        ("warn,details=loud", &["in an instrumented function"]),
        ("debug, details=loud", &EVENTS),
    ];
    for (rust_log, expected) in expectations {
        let said = assert_heard(rust_log, expected);
        let line = said.line(&warning(rust_log)).unwrap();
        assert_eq!(
            (&line["level"], &line["target"]),
            (&"WARN".into(), &"otel_setup".into())
        );
        assert!(said.record(&warning(rust_log)).is_some());
        // The parser of `tracing-subscriber` does not print its own warning.
        assert_eq!(said.stderr, "");
    }
}
