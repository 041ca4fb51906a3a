//! The dashboard and the rules in `examples/dashboards/`.

use serde_json::Value;

/// The path of the rules.
pub const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/dashboards/rules.yml");

const DASHBOARD: &str = include_str!("../../examples/dashboards/grpc.json");

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
