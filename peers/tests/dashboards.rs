//! The rules, alerts and dashboard in `examples/dashboards/`: Prometheus evaluates every query.
//!
//! The names in the queries are those that the exporter writes.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use integration_tests::http;
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve_with;
use otel_runtime::{ServerLayer, TracedChannel};
use otel_setup::Exporter;
use peers::dashboards::{RULES, queries};
use peers::prometheus::Programs;
use serde_json::{Value, json};
use tonic::transport::{Endpoint, Server};

fn promtool(arguments: &[&str]) {
    let programs = Programs::install(env!("CARGO_TARGET_TMPDIR"));
    let output = programs.promtool().args(arguments).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
}

/// The form of the histograms in Prometheus.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// A series for each bucket, from a scrape and from the Collector.
    Classic,
    /// A single series with all buckets, as Prometheus can convert those of OTLP and of scrapes.
    Native,
}

/// Returns the series of calls with a status and a failure.
///
/// `per_minute` counts all calls, and those faster than 0.1, 1 and 2.5 seconds.
fn calls(form: Form, side: &str, method: &str, status: &str, error: Option<&str>, per_minute: [u32; 4]) -> Vec<Value> {
    let name = format!("rpc_{side}_call_duration_seconds");
    let error = error.map_or(String::new(), |error| format!(r#",error_type="{error}""#));
    let address = match side {
        "client" => r#",server_address="bank.example",server_port="443""#,
        _ => "",
    };
    let labels = format!(
        r#"job="shop",instance="a",rpc_system_name="grpc",rpc_method="{method}",rpc_status_code="{status}"{error}{address}"#
    );
    let [all, fast, medium, slow] = per_minute;
    if form == Form::Native {
        let values = |count: u32, buckets: [u32; 4]| {
            let [a, b, c, d] = buckets;
            format!("{{{{schema:-53 sum:1 count:{count} custom_values:[0.1 1 2.5] buckets:[{a} {b} {c} {d}]}}}}")
        };
        let step = values(all, [fast, medium - fast, slow - medium, all - slow]);
        return vec![
            json!({"series": format!("{name}{{{labels}}}"), "values": format!("{}+{step}x60", values(0, [0; 4]))}),
        ];
    }
    let series = |series: String, step: u32| json!({"series": series, "values": format!("0+{step}x60")});
    let mut found = vec![series(format!("{name}_count{{{labels}}}"), all)];
    for (bound, count) in ["+Inf", "0.1", "1", "2.5"].iter().zip(per_minute) {
        found.push(series(format!(r#"{name}_bucket{{{labels},le="{bound}"}}"#), count));
    }
    found
}

fn active(side: &str, method: &str, number: u32) -> Value {
    let labels = format!(r#"job="shop",instance="a",rpc_system_name="grpc",rpc_method="{method}""#);
    json!({"series": format!("rpc_{side}_active_requests{{{labels}}}"), "values": format!("{number}x60")})
}

/// Returns an hour of series: a method that fails, one that is slow, one that never ends, and
/// unknown methods.
fn hour(form: Form) -> Vec<Value> {
    let mut series = Vec::new();
    series.extend(calls(form, "server", "a.B/Fails", "OK", None, [45, 15, 45, 45]));
    series.extend(calls(
        form,
        "server",
        "a.B/Fails",
        "INTERNAL",
        Some("INTERNAL"),
        [15, 15, 15, 15],
    ));
    series.extend(calls(form, "server", "a.B/Slow", "NOT_FOUND", None, [60, 0, 0, 60]));
    series.extend(calls(
        form,
        "server",
        "_OTHER",
        "UNIMPLEMENTED",
        Some("UNIMPLEMENTED"),
        [120; 4],
    ));
    series.extend([active("server", "a.B/Fails", 3), active("server", "a.B/Stuck", 2)]);
    series.extend(calls(form, "client", "c.D/Calls", "OK", None, [45, 15, 45, 45]));
    series.extend(calls(
        form,
        "client",
        "c.D/Calls",
        "UNAVAILABLE",
        Some("connection_refused"),
        [15; 4],
    ));
    series.push(active("client", "c.D/Calls", 1));
    series
}

/// Returns what a panel shows after that hour, in the order of its queries.
fn shown(title: &str) -> Vec<Vec<(&'static str, f64)>> {
    const FAILS: &str = r#"{rpc_method="a.B/Fails"}"#;
    const SLOW: &str = r#"{rpc_method="a.B/Slow"}"#;
    const OTHER: &str = r#"{rpc_method="_OTHER"}"#;
    const CALLS: &str = r#"{rpc_method="c.D/Calls",server_address="bank.example"}"#;
    match title {
        "Server: calls" => vec![vec![(FAILS, 1.0), (SLOW, 1.0), (OTHER, 2.0)]],
        "Server: failures" => vec![vec![(FAILS, 0.25), (SLOW, 0.0), (OTHER, 1.0)]],
        "Server: by status" => vec![vec![
            (r#"{rpc_status_code="OK"}"#, 0.75),
            (r#"{rpc_status_code="INTERNAL"}"#, 0.25),
            (r#"{rpc_status_code="NOT_FOUND"}"#, 1.0),
            (r#"{rpc_status_code="UNIMPLEMENTED"}"#, 2.0),
        ]],
        "Server: failures by kind" => vec![vec![
            (r#"{error_type="INTERNAL"}"#, 0.25),
            (r#"{error_type="UNIMPLEMENTED"}"#, 2.0),
        ]],
        "Server: median and 99th percentile" => vec![
            vec![(FAILS, 0.1), (SLOW, 1.75), (OTHER, 0.05)],
            vec![(FAILS, 0.982), (SLOW, 2.485), (OTHER, 0.099)],
        ],
        "Server: active" => vec![vec![(FAILS, 3.0), (r#"{rpc_method="a.B/Stuck"}"#, 2.0)]],
        "Client: calls" => vec![vec![(CALLS, 1.0)]],
        "Client: failures" => vec![vec![(CALLS, 0.25)]],
        "Client: by status" => vec![vec![
            (r#"{rpc_status_code="OK"}"#, 0.75),
            (r#"{rpc_status_code="UNAVAILABLE"}"#, 0.25),
        ]],
        "Client: failures by kind" => vec![vec![(r#"{error_type="connection_refused"}"#, 0.25)]],
        "Client: median and 99th percentile" => vec![vec![(CALLS, 0.1)], vec![(CALLS, 0.982)]],
        "Client: active" => vec![vec![(r#"{rpc_method="c.D/Calls"}"#, 1.0)]],
        other => panic!("what does the panel {other:?} show?"),
    }
}

/// Returns the alerts that fire after that hour, with their labels and annotations.
fn alerts() -> Vec<Value> {
    let alert = |name: &str, severity: &str, about: Value, says: &str, why: Option<&str>| {
        let mut labels = json!({"job": "shop", "severity": severity});
        labels
            .as_object_mut()
            .unwrap()
            .extend(about.as_object().unwrap().clone());
        let mut annotations = json!({"summary": says});
        if let Some(why) = why {
            annotations["description"] = why.into();
        }
        json!({"eval_time": "1h", "alertname": name, "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}]})
    };
    vec![
        alert(
            "RpcServerFailing",
            "page",
            json!({"rpc_method": "a.B/Fails"}),
            "shop fails 25% of its calls to a.B/Fails",
            Some(
                "Its own failures, of more than one call in ten seconds. Which they are stands in the label error_type; `panic` is a bug in the handler.",
            ),
        ),
        alert(
            "RpcServerSlow",
            "ticket",
            json!({"rpc_method": "a.B/Slow"}),
            "One call in a hundred to a.B/Slow of shop takes more than 2.485s",
            None,
        ),
        alert(
            "RpcServerStuck",
            "ticket",
            json!({"rpc_method": "a.B/Stuck"}),
            "2 calls to a.B/Stuck of shop are under way, and none ends",
            None,
        ),
        alert(
            "RpcServerUnknownMethods",
            "ticket",
            json!({"rpc_method": "_OTHER"}),
            "shop is asked 2 times a second for methods that it does not have",
            Some(
                "A client that is newer than the server, or a stranger who tries doors. The paths are on the spans named grpc, in rpc.method_original.",
            ),
        ),
        alert(
            "RpcClientFailing",
            "ticket",
            json!({"rpc_method": "c.D/Calls", "server_address": "bank.example"}),
            "25% of the calls of shop to c.D/Calls at bank.example fail",
            None,
        ),
    ]
}

#[test]
fn promtool_accepts_the_rules() {
    promtool(&["check", "rules", RULES]);
}

#[test]
fn every_query_and_alert_gives_the_expected_result() {
    for form in [Form::Classic, Form::Native] {
        check(form);
    }
}

/// Evaluates all queries and alerts after the hour.
fn check(form: Form) {
    let mut expected = Vec::new();
    let mut panel = String::new();
    let mut number = 0;
    for (title, query) in queries("5m") {
        number = if title == panel { number + 1 } else { 0 };
        panel.clone_from(&title);
        let samples = shown(&title)
            .swap_remove(number)
            .into_iter()
            .map(|(labels, value)| json!({"labels": labels, "value": value}));
        // Sums of floats are not exact; three digits will do.
        let query = format!("round({query}, 0.001)");
        expected.push(json!({"expr": query, "eval_time": "1h", "exp_samples": samples.collect::<Vec<_>>()}));
    }
    assert_eq!(expected.len(), 14);
    let recorded = [
        (
            "job_method:rpc_server_failures:ratio_rate5m",
            r#"{job="shop",rpc_method="a.B/Fails"}"#,
            0.25,
        ),
        (
            "job_method:rpc_server_call_duration_seconds:p50_5m",
            r#"{job="shop",rpc_method="a.B/Slow"}"#,
            1.75,
        ),
    ];
    for (name, labels, value) in recorded {
        let samples = json!([{"labels": labels, "value": value}]);
        expected
            .push(json!({"expr": format!("round({name}{labels}, 0.001)"), "eval_time": "1h", "exp_samples": samples}));
    }
    let alerts = alerts();
    let rules = fs::read_to_string(RULES).unwrap();
    // The first failure has a test of its own.
    assert_eq!(rules.matches("- alert:").count(), alerts.len() + 1);

    test_rules(&json!([{
        "interval": "1m", "input_series": hour(form), "promql_expr_test": expected, "alert_rule_test": alerts,
    }]));
}

#[test]
fn the_first_failure_of_a_process_counts() {
    let labels = r#"job="shop",instance="a",rpc_method="a.B/Once""#;
    let count = "rpc_server_call_duration_seconds_count";
    let native = r"{{schema:-53 sum:1 count:1 custom_values:[1] buckets:[1]}}";
    // After 57 minutes, the failed call is there with its first value. It does not increase.
    for (failure, values) in [
        (count, "_x56 1x5"),
        ("rpc_server_call_duration_seconds", &*format!("_x56 {native}x5")),
    ] {
        let series = json!([
            {"series": format!(r#"{count}{{{labels},rpc_status_code="OK"}}"#), "values": "0+0x60"},
            {"series": format!(r#"{failure}{{{labels},rpc_status_code="INTERNAL",error_type="INTERNAL"}}"#), "values": values},
        ]);
        let ratio = r#"job_method:rpc_server_failures:ratio_rate5m{job="shop",rpc_method="a.B/Once"}"#;
        let expected = json!([{"expr": ratio, "eval_time": "59m", "exp_samples": [{"labels": ratio, "value": 1}]}]);
        let alerts = json!([{"eval_time": "59m", "alertname": "RpcServerFirstFailure", "exp_alerts": [{
            "exp_labels": {"job": "shop", "rpc_method": "a.B/Once", "error_type": "INTERNAL", "severity": "ticket"},
            "exp_annotations": {"summary": "shop fails for the first time in a.B/Once: INTERNAL"},
        }]}]);
        test_rules(&json!([{
            "interval": "1m", "input_series": series, "promql_expr_test": expected, "alert_rule_test": alerts,
        }]));
    }
}

/// Returns the queries in a page.
fn promql(page: &str) -> Vec<&str> {
    let blocks = page.split("```promql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

#[test]
fn queries_have_all_generations_of_names() {
    let [by_code] = promql(include_str!("../../examples/dashboards/README.md"))[..] else {
        panic!("expected one query")
    };
    let [by_method, mean] = promql(include_str!("../../otel-runtime/docs/migrating.md"))[..] else {
        panic!("expected two queries")
    };
    let generations = [
        (
            "call_duration_seconds",
            r#"rpc_method="a.B/C",rpc_status_code="OK""#,
            "0+30x60",
        ),
        (
            "call_duration_seconds",
            r#"rpc_method="d.E/F",rpc_response_status_code="NOT_FOUND""#,
            "0+30x60",
        ),
        (
            "duration_milliseconds",
            r#"rpc_service="g.H",rpc_method="I",rpc_grpc_status_code="13""#,
            "0+30000x60",
        ),
    ];
    let series = generations.iter().flat_map(|(name, labels, sum)| {
        let series = |part: &str, values: &str| {
            json!({"series": format!(r#"rpc_server_{name}_{part}{{job="a",{labels}}}"#), "values": values})
        };
        [series("count", "0+60x60"), series("sum", sum)]
    });
    let samples = |labels: [&str; 3], value: f64| {
        let samples = labels.map(|labels| json!({"labels": format!("{{{labels}}}"), "value": value}));
        json!(samples)
    };
    let methods = [r#"method="a.B/C""#, r#"method="d.E/F""#, r#"method="g.H/I""#];
    let codes = ["OK", "NOT_FOUND", "13"];
    let jobs = codes.map(|code| format!(r#"job="a",code="{code}""#));
    let both = [0, 1, 2].map(|index| format!(r#"{},code="{}""#, methods[index], codes[index]));
    let expected = |query: &str, samples| json!({"expr": query, "eval_time": "1h", "exp_samples": samples});
    test_rules(&json!([{
        "interval": "1m",
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": [
            expected(by_code, samples(jobs.each_ref().map(|labels| &**labels), 1.0)),
            expected(by_method, samples(both.each_ref().map(|labels| &**labels), 1.0)),
            expected(mean, samples(methods, 0.5)),
        ],
    }]));
}

/// Evaluates tests of the rules.
fn test_rules(tests: &Value) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tests.yml");
    // JSON is YAML.
    let test = json!({"rule_files": [RULES], "evaluation_interval": "1m", "tests": tests});
    fs::write(&file, test.to_string()).unwrap();
    promtool(&["test", "rules", file.to_str().unwrap()]);
}

/// Returns the metrics and labels in a query.
fn names(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words.filter(|word| {
        let is_ours = word.starts_with("rpc_") || ["error_type", "server_address"].contains(word);
        // A scrape has no native histograms.
        is_ours && !word.contains(':') && !word.ends_with("_seconds")
    })
}

#[tokio::test]
async fn the_exporter_writes_every_name_in_the_queries() {
    let telemetry = otel_setup::builder()
        .trace_exporters([])
        .metric_exporters([Exporter::Prometheus])
        .log_exporters([])
        .prometheus_address("127.0.0.1:0".parse().unwrap())
        .init()
        .unwrap();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        ScriptedService::default().routes(),
    )
    .await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let mut client = UnaryClient::new(TracedChannel::connect(endpoint).await.unwrap());
    client.call(Message::from("")).await.unwrap();
    client.call(Message::from("13")).await.unwrap_err();

    let address = telemetry.prometheus_address().unwrap();
    let metrics = tokio::task::spawn_blocking(move || http::get(address, "/metrics")).await;
    let (_, metrics) = metrics.unwrap();
    let rules = fs::read_to_string(RULES).unwrap();
    let exprs = rules
        .lines()
        .filter(|line| line.contains("rpc_") && !line.contains("record:"));
    let mut queried: Vec<String> = queries("5m").into_iter().map(|(_, query)| query).collect();
    queried.extend(exprs.map(str::to_owned));
    let queried: BTreeSet<&str> = queried.iter().flat_map(|query| names(query)).collect();
    for name in &queried {
        let is_there = if name.starts_with("rpc_server_") || name.starts_with("rpc_client_") {
            metrics.contains(&format!("\n{name}{{"))
        } else {
            metrics.contains(&format!("{name}=\""))
        };
        assert!(is_there, "{name} is queried and not written: {metrics}");
    }
    // Six metrics and four labels.
    assert_eq!(queried.len(), 10, "{queried:?}");
    telemetry.shutdown(Duration::from_secs(5)).await.unwrap();
}
