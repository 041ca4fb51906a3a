//! Runs the program `logging_service` in a child process, and parses its output.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::child;

/// The output of the program, by the kind of telemetry.
#[derive(Debug)]
pub struct LogOutput {
    /// Log lines on stdout that are not JSON.
    pub text: Vec<String>,
    /// Log lines on stdout in JSON.
    pub lines: Vec<Value>,
    /// Log records of the console exporter.
    pub records: Vec<Value>,
    /// Spans of the console exporter.
    pub spans: Vec<Value>,
    /// The contents of stderr.
    pub stderr: String,
}

/// Runs `program`, which is `env!("CARGO_BIN_EXE_logging_service")`, with log lines in a format.
#[must_use]
pub fn run_logging_service<const N: usize>(program: &str, lines: &str, variables: [(&str, &str); N]) -> LogOutput {
    let mut all = BTreeMap::from([
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "console"),
    ]);
    all.extend(variables);
    let ended = child::run(program, &[lines], all);
    assert!(ended.success, "{}", ended.stderr);
    let mut said = LogOutput {
        text: Vec::new(),
        lines: Vec::new(),
        records: Vec::new(),
        spans: Vec::new(),
        stderr: ended.stderr,
    };
    for line in ended.stdout.lines() {
        match serde_json::from_str::<Value>(line) {
            Ok(json) if json.get("severity_text").is_some() => said.records.push(json),
            Ok(json) if json.get("context").is_some() => said.spans.push(json),
            Ok(json) => said.lines.push(json),
            Err(_) => said.text.push(line.to_owned()),
        }
    }
    said
}

impl LogOutput {
    /// Returns the log line with this message, if there is one.
    #[must_use]
    pub fn line(&self, message: &str) -> Option<&Value> {
        one(&self.lines, "message", message)
    }

    /// Returns the log record with this body, if there is one.
    #[must_use]
    pub fn record(&self, body: &str) -> Option<&Value> {
        one(&self.records, "body", body)
    }

    /// Returns the span with this name, if there is one.
    #[must_use]
    pub fn span(&self, name: &str) -> Option<&Value> {
        one(&self.spans, "name", name)
    }
}

fn one<'a>(objects: &'a [Value], key: &str, value: &str) -> Option<&'a Value> {
    let mut found = objects.iter().filter(|object| object[key] == value);
    let object = found.next();
    assert!(found.next().is_none(), "duplicate {value}");
    object
}
