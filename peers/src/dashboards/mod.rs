//! The dashboard and the rules in `examples/dashboards/`.

mod route;

use integration_tests::telemetry::Attributes;
use serde_json::Value;

pub use route::{Form, Route, Setting};

/// The path of the rules.
pub const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/dashboards/rules.yml");

const DASHBOARD: &str = include_str!("../../../examples/dashboards/grpc.json");

/// Returns the queries of the dashboard with the titles of their panels.
///
/// Variables have the values that Grafana inserts if all is selected.
#[must_use]
pub fn queries(rate_interval: &str) -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(move |target| (title.to_owned(), target["expr"].as_str().unwrap().to_owned()))
    });
    targets
        .map(|(title, query)| {
            let query = query
                .replace("$job", ".*")
                .replace("$method", ".*")
                .replace("$__rate_interval", rate_interval);
            assert!(!query.contains('$'), "{query}");
            (title, query)
        })
        .collect()
}

/// The labels of a series that tell it from others in a panel, and the value.
pub type Row = (&'static [(&'static str, &'static str)], f64);

/// Returns what differs: values by more than 2 %, after a multiplication by `factor`, and series
/// that are missing or, if `all` are expected, too many.
#[must_use]
pub fn differences(found: &[(Attributes, f64)], rows: &[Row], factor: f64, all: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (labels, expected) in rows {
        let is_it = |(found, _): &&(Attributes, f64)| {
            labels
                .iter()
                .all(|(name, value)| found.get(*name).is_some_and(|found| found == value))
        };
        let of_it: Vec<f64> = found.iter().filter(is_it).map(|(_, value)| value * factor).collect();
        match of_it[..] {
            [value] if (value - expected).abs() <= 0.02 * expected => {}
            _ => wrong.push(format!("{of_it:?} instead of {expected} for {labels:?}")),
        }
    }
    if all && found.len() != rows.len() {
        wrong.push(format!("other series: {found:?}"));
    }
    wrong
}
