//! Messages of OTLP in JSON, as the Collector writes them into files.

use serde_json::Value;

/// Returns the items of an OTLP message in JSON, each with its resource and its scope.
fn items(message: &Value, names: [&str; 3]) -> Vec<Value> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let [resources, scopes, items] = names;
    let mut found = Vec::new();
    for resource in list(message, resources) {
        for scope in list(&resource, scopes) {
            for mut item in list(&scope, items) {
                item["resource"] = resource["resource"].clone();
                item["scope"] = scope["scope"].clone();
                found.push(item);
            }
        }
    }
    found
}

/// Returns the spans of a message, each with its resource and its scope.
#[must_use]
pub fn spans(message: &Value) -> Vec<Value> {
    items(message, ["resourceSpans", "scopeSpans", "spans"])
}

/// Returns the log records of a message, each with its resource and its scope.
#[must_use]
pub fn logs(message: &Value) -> Vec<Value> {
    items(message, ["resourceLogs", "scopeLogs", "logRecords"])
}

/// Returns the metrics of a message, each with its resource and its scope.
#[must_use]
pub fn metrics(message: &Value) -> Vec<Value> {
    items(message, ["resourceMetrics", "scopeMetrics", "metrics"])
}
