//! The output of the program `logging_service`, a process of its own.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::child;

/// All that it said, by what has become of it.
#[derive(Debug)]
pub struct LogOutput {
    /// Lines of its log that are not JSON.
    pub text: Vec<String>,
    /// Lines of its log that are.
    pub lines: Vec<Value>,
    /// Log records.
    pub records: Vec<Value>,
    /// Spans.
    pub spans: Vec<Value>,
    /// The error.
    pub stderr: String,
}

/// Has it run_logging_service. `program` is `env!("CARGO_BIN_EXE_logging_service")`; its log lines look as the second
/// argument says.
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
    /// The line with this message, if there is one.
    #[must_use]
    pub fn line(&self, message: &str) -> Option<&Value> {
        one(&self.lines, "message", message)
    }

    /// The log record with this body, if there is one.
    #[must_use]
    pub fn record(&self, body: &str) -> Option<&Value> {
        one(&self.records, "body", body)
    }

    /// The span of this name, if there is one.
    #[must_use]
    pub fn span(&self, name: &str) -> Option<&Value> {
        one(&self.spans, "name", name)
    }
}

fn one<'a>(objects: &'a [Value], key: &str, value: &str) -> Option<&'a Value> {
    let mut found = objects.iter().filter(|object| object[key] == value);
    let object = found.next();
    assert!(found.next().is_none(), "{value} is there twice");
    object
}
