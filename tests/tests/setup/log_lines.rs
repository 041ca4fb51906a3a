//! Log lines on stdout: pretty, JSON, or none.

use std::process::{Command, Stdio};

use integration_tests::child;
use integration_tests::logging_service::{LogOutput, run_logging_service};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_logging_service");

fn said(lines: &str) -> LogOutput {
    run_logging_service(PROGRAM, lines, [("OTEL_LOGS_EXPORTER", "none")])
}

/// Asserts that a text has the format `2026-01-31T23:59:59.999999Z`.
fn assert_is_time(text: &str) {
    let shape: String = text
        .chars()
        .map(|character| if character.is_ascii_digit() { '0' } else { character })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
}

/// Returns the JSON lines of a target, after checking and removing their timestamps.
fn of_target(said: &LogOutput, target: &str) -> Vec<Value> {
    let lines = said.lines.iter().filter(|line| line["target"] == target);
    lines
        .cloned()
        .map(|mut line| {
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert_is_time(time.as_str().unwrap());
            line
        })
        .collect()
}

#[test]
fn json_has_all_fields_with_their_types() {
    let lines = of_target(&said("json"), "fields");
    assert_eq!(
        lines,
        [
            json!({
                "level": "ERROR",
                "target": "fields",
                "message": "many and\nfields",
                "fields": {
                    "text": "a \"quoted\"\ntext",
                    "shown": "as it is\n",
                    "debugged": "Some(1)",
                    "signed": -1,
                    "unsigned": u64::MAX,
                    "float": 0.5,
                    "not_a_number": "NaN",
                    "endless": "-Infinity",
                    "truth": true,
                    "error": "an error occurred when formatting an argument",
                    "timestamp": "ours",
                    "trace_id": "ours",
                    "level": 7,
                    "type": "raw",
                    "dotted.name": 1,
                },
            }),
            json!({ "level": "INFO", "target": "fields", "message": "", "fields": { "only": "a field" } }),
            json!({ "level": "INFO", "target": "fields", "message": "of the log crate", "fields": {} }),
        ]
    );
}

#[test]
fn json_output_has_no_other_lines() {
    assert_eq!(said("json").text, [""; 0]);
}

/// Returns the lines that contain a text, after checking and removing their timestamps.
fn with<'a>(said: &'a LogOutput, text: &str) -> Vec<&'a str> {
    let lines = said.text.iter().filter(|line| line.contains(text));
    lines
        .map(|line| {
            let (time, rest) = line.split_once(' ').unwrap();
            assert_is_time(time);
            rest
        })
        .collect()
}

#[test]
fn pretty_lines_have_all_fields() {
    assert_eq!(
        with(&said("pretty"), "fields: "),
        [
            "ERROR fields: many and\\nfields text=\"a \\\"quoted\\\"\\ntext\" shown=as it is\\n debugged=Some(1) signed=-1 \
             unsigned=18446744073709551615 float=0.5 not_a_number=NaN endless=-inf truth=true \
             error=an error occurred when formatting an argument timestamp=\"ours\" trace_id=\"ours\" level=7 type=\"raw\" dotted.name=1",
            " INFO fields: only=\"a field\"",
            " INFO fields: of the log crate",
        ]
    );
}

/// Records of the `log` crate have targets that are not known at compile time.
#[test]
fn pretty_lines_escape_their_target() {
    let said = said("pretty");
    assert_eq!(
        with(&said, "an odd target"),
        [" INFO tar\\u{202e}get: with an odd target"]
    );
}

#[test]
fn pretty_lines_have_a_shortened_trace_id() {
    let said = said("pretty");
    let trace = |span: &str| said.span(span).unwrap()["context"]["trace_id"].as_str().unwrap()[2..10].to_owned();
    let (unary, streaming) = (trace("kinds.Unary/Call"), trace("kinds.ServerStream/Call"));
    assert_eq!(with(&said, "outside"), [" INFO logging_service: outside"]);
    assert_eq!(
        with(&said, "in a handler"),
        [format!(" INFO {unary} kinds.Unary/Call: logging_service: in a handler")]
    );
    assert_eq!(
        with(&said, "in an instrumented"),
        [format!(
            " WARN {unary} kinds.Unary/Call:instrumented{{attempt=1}}: logging_service: in an instrumented function"
        )]
    );
    assert_eq!(
        with(&said, "in a response stream"),
        [format!(
            " INFO {streaming} kinds.ServerStream/Call: logging_service: in a response stream"
        )]
    );
    // Like the trace, the method does not reach a task that carries nothing.
    for carried in ["in a task user", "on a thread user", "on a thread for what blocks"] {
        assert_eq!(
            with(&said, carried).len(),
            with(&said, &format!("{unary} kinds.Unary/Call: logging_service: {carried}")).len(),
            "{carried}"
        );
    }
    assert_eq!(
        with(&said, "that carries nothing"),
        [" INFO logging_service: in a task that carries nothing"]
    );
}

#[test]
fn json_has_the_method_of_the_rpc() {
    let said = said("json");
    for (message, method) in [
        ("in a handler", json!("kinds.Unary/Call")),
        ("in an instrumented function", json!("kinds.Unary/Call")),
        ("in a task", json!("kinds.Unary/Call")),
        ("on a thread", json!("kinds.Unary/Call")),
        ("on a thread for what blocks", json!("kinds.Unary/Call")),
        ("in a response stream", json!("kinds.ServerStream/Call")),
        ("in a task that carries nothing", Value::Null),
        ("outside", Value::Null),
    ] {
        assert_eq!(said.line(message).unwrap()["rpc.method"], method, "{message}");
    }
}

#[test]
fn events_have_the_fields_of_enclosing_spans() {
    let variables = [("RUST_LOG", "debug"), ("OTEL_LOGS_EXPORTER", "console")];
    for (format, has_fields) in [("json", true), ("bare_json", false)] {
        let said = run_logging_service(PROGRAM, format, variables);
        let line = |message| said.line(message).unwrap();
        let attempt = |record: &str| said.record(record).unwrap()["attributes"]["attempt"].clone();
        let instrumented = json!({ "name": "instrumented", "fields": { "attempt": 1 } });
        let (one, both, number) = if has_fields {
            let verbose = json!({ "name": "verbose", "fields": {} });
            (json!([instrumented]), json!([instrumented, verbose]), json!(1))
        } else {
            (Value::Null, Value::Null, Value::Null)
        };
        assert_eq!(line("in an instrumented function")["spans"], one);
        assert_eq!(line("in a verbose function")["spans"], both);
        assert_eq!(line("outside")["spans"], Value::Null);
        for message in ["in an instrumented function", "in a verbose function"] {
            assert_eq!(attempt(message), number, "{message}");
            assert_eq!(line(message)["fields"], json!({}), "they are the event's own");
        }
        assert_eq!(attempt("outside"), Value::Null);
    }
    let said = run_logging_service(PROGRAM, "bare_pretty", variables);
    let [line] = with(&said, "in an instrumented")[..] else {
        panic!("{said:?}")
    };
    assert!(
        line.ends_with(" kinds.Unary/Call:instrumented: logging_service: in an instrumented function"),
        "{line}"
    );
}

#[test]
fn fields_recorded_again_replace_earlier_ones() {
    let said = said("pretty");
    let [line] = with(&said, "with fields recorded later")[..] else {
        panic!("{said:?}")
    };
    let expected = r#" recorded{a=2 of a span late="yes\u{202e}"}: logging_service: with fields recorded later"#;
    assert!(line.ends_with(expected), "{line}");
}

#[test]
fn fields_recorded_later_are_in_json() {
    let said = run_logging_service(PROGRAM, "json", []);
    let spans = &said.line("with fields recorded later").unwrap()["spans"];
    let fields = json!({ "a": 2, "late": "yes\u{202e}", "message": "of a span" });
    assert_eq!(spans, &json!([{ "name": "recorded", "fields": fields }]));
    let ended = child::run(PROGRAM, &["json"], [("OTEL_LOGS_EXPORTER", "none")]);
    assert!(ended.stdout.contains(r#""late":"yes\u202e""#), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{202e}'), "{}", ended.stdout);
}

#[test]
fn pretty_is_the_default() {
    assert_eq!(with(&said("default"), "outside"), [" INFO logging_service: outside"]);
}

#[test]
fn stdout_logs_can_be_turned_off() {
    let said = said("off");
    assert_eq!((said.text, said.lines), (vec![], vec![]));
}

#[test]
fn console_log_records_replace_log_lines() {
    let said = run_logging_service(PROGRAM, "default", []);
    assert!(said.record("outside").is_some());
    assert_eq!((said.text, said.lines), (vec![], vec![]));
}

#[test]
fn log_lines_work_with_the_sdk_disabled() {
    let said = run_logging_service(PROGRAM, "default", [("OTEL_SDK_DISABLED", "true")]);
    assert_eq!(with(&said, "outside"), [" INFO logging_service: outside"]);
    assert_eq!(
        with(&said, "in a handler"),
        [" INFO kinds.Unary/Call: logging_service: in a handler"]
    );
    assert_eq!((said.records, said.spans), (vec![], vec![]));
}

#[test]
fn log_lines_are_not_buffered() {
    let ended = child::run(PROGRAM, &["pretty", "abort"], [("OTEL_LOGS_EXPORTER", "none")]);
    assert!(!ended.success);
    assert!(
        ended.stdout.ends_with(" INFO logging_service: outside\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn closed_stdout_is_tolerated() {
    for lines in ["pretty", "json"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = Command::new(PROGRAM)
            .arg(lines)
            .env_clear()
            .envs(["TRACES", "METRICS", "LOGS"].map(|signal| (format!("OTEL_{signal}_EXPORTER"), "none")))
            .stdin(Stdio::null())
            .stdout(writer)
            .output()
            .unwrap();
        assert!(child.status.success());
        assert_eq!(String::from_utf8(child.stderr).unwrap(), "");
    }
}
