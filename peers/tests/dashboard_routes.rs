//! The dashboard, the rules and the alerts have the true numbers in a Prometheus 3.
//!
//! A table of ways of metrics to Prometheus, and one of what each query returns on all of them.

use std::collections::BTreeSet;
use std::time::Duration;

use integration_tests::client::{Kind, call, connect};
use integration_tests::coverage::Coverage;
use integration_tests::kinds::Message;
use integration_tests::own_process::in_own_process;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{RunningServer, TIMEOUT};
use otel_runtime::TracedChannel;
use peers::dashboards::{Form, Route, Row, Setting, differences, queries};
use peers::poll::until_found;
use peers::prometheus::Prometheus;
use serde_json::Value;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::timeout;
use tonic::Request;
use tonic::codegen::http::uri::PathAndQuery;

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");

macro_rules! routes {
    ($($name:ident: $route:expr, $form:expr;)*) => { $(
        #[test]
        fn $name() {
            in_own_process(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
                runtime.unwrap().block_on(check($route, $form));
            });
        }
    )* };
}

routes! {
    scrape: Route::Scrape, Form::Classic;
    scrape_native: Route::Scrape, Form::Native;
    otlp: Route::Otlp, Form::Classic;
    otlp_native: Route::Otlp, Form::Native;
    collector_scraped: Route::Collector("prometheus"), Form::Classic;
    collector_scraped_native: Route::Collector("prometheus"), Form::Native;
    collector_by_otlp: Route::Collector("otlp_http"), Form::Classic;
    collector_by_otlp_native: Route::Collector("otlp_http"), Form::Native;
    collector_by_remote_write: Route::Collector("prometheusremotewrite"), Form::Classic;
}

/// The calls of the first round: the kind, the text of the request, and their number.
///
/// A second round has nine times as many, so each series grows by the same factor.
const CALLS: [(Kind, &str, u32); 4] = [
    (Kind::Unary, "echo", 3),
    (Kind::Unary, "13", 1),
    (Kind::ClientStream, "5", 2),
    // Each takes more than a second.
    (Kind::ServerStream, "wait", 4),
];
/// The calls of the first round to a method that the server does not have, by a client without
/// telemetry.
const UNKNOWN: u32 = 35;
const SECOND_ROUND: u32 = 9;
/// The calls that do not end before the queries.
const STUCK: u32 = 3;
/// The duration of slow calls, between the boundaries 1 and 2.5.
const SLOW: Duration = Duration::from_millis(1200);

const UNARY: (&str, &str) = ("rpc_method", "kinds.Unary/Call");
const CLIENT_STREAM: (&str, &str) = ("rpc_method", "kinds.ClientStream/Call");
const SERVER_STREAM: (&str, &str) = ("rpc_method", "kinds.ServerStream/Call");
const BIDI: (&str, &str) = ("rpc_method", "kinds.Bidi/Call");
const OTHER: (&str, &str) = ("rpc_method", "_OTHER");
const HERE: (&str, &str) = ("server_address", "127.0.0.1");

/// The contents of a panel.
enum Shown {
    /// Calls of the second round, by time.
    Calls(&'static [Row]),
    /// Numbers.
    Values(&'static [Row]),
    /// Numbers for some of the series.
    Among(&'static [Row]),
}

/// Returns what a panel shows after both rounds, for its query of this number.
fn shown(title: &str, number: usize) -> Shown {
    match (title, number) {
        ("Server: calls", 0) => Shown::Calls(&[
            (&[UNARY], 36.0),
            (&[CLIENT_STREAM], 18.0),
            (&[SERVER_STREAM], 36.0),
            (&[OTHER], 315.0),
        ]),
        ("Server: failures", 0) => Shown::Values(&[
            (&[UNARY], 0.25),
            (&[CLIENT_STREAM], 0.0),
            (&[SERVER_STREAM], 0.0),
            (&[OTHER], 1.0),
        ]),
        ("Server: by status", 0) => Shown::Calls(&[
            (&[("rpc_status_code", "OK")], 63.0),
            (&[("rpc_status_code", "INTERNAL")], 9.0),
            (&[("rpc_status_code", "NOT_FOUND")], 18.0),
            (&[("rpc_status_code", "UNIMPLEMENTED")], 315.0),
        ]),
        ("Server: failures by kind", 0) => Shown::Calls(&[
            (&[("error_type", "INTERNAL")], 9.0),
            (&[("error_type", "UNIMPLEMENTED")], 315.0),
        ]),
        // All slow calls are between 1 s and 2.5 s, where Prometheus spreads them evenly.
        ("Server: median and 99th percentile", 0) => Shown::Among(&[(&[SERVER_STREAM], 1.75)]),
        ("Server: median and 99th percentile", 1) => Shown::Among(&[(&[SERVER_STREAM], 2.485)]),
        ("Server: active" | "Client: active", 0) => Shown::Among(&[
            (&[BIDI], 3.0),
            (&[UNARY], 0.0),
            (&[CLIENT_STREAM], 0.0),
            (&[SERVER_STREAM], 0.0),
        ]),
        ("Client: calls", 0) => Shown::Calls(&[
            (&[UNARY, HERE], 36.0),
            (&[CLIENT_STREAM, HERE], 18.0),
            (&[SERVER_STREAM, HERE], 36.0),
        ]),
        ("Client: failures", 0) => Shown::Values(&[
            (&[UNARY, HERE], 0.25),
            (&[CLIENT_STREAM, HERE], 1.0),
            (&[SERVER_STREAM, HERE], 0.0),
        ]),
        ("Client: by status", 0) => Shown::Calls(&[
            (&[("rpc_status_code", "OK")], 63.0),
            (&[("rpc_status_code", "INTERNAL")], 9.0),
            (&[("rpc_status_code", "NOT_FOUND")], 18.0),
        ]),
        ("Client: failures by kind", 0) => Shown::Calls(&[
            (&[("error_type", "INTERNAL")], 9.0),
            (&[("error_type", "NOT_FOUND")], 18.0),
        ]),
        ("Client: median and 99th percentile", 0) => Shown::Among(&[(&[SERVER_STREAM, HERE], 1.75)]),
        ("Client: median and 99th percentile", 1) => Shown::Among(&[(&[SERVER_STREAM, HERE], 2.485)]),
        other => panic!("what does {other:?} show?"),
    }
}

/// Recording rules that count all calls of the last five minutes, with the calls of both rounds.
const RECORDED: [(&str, &[Row]); 2] = [
    (
        "300 * job_method:rpc_server_calls:rate5m",
        &[
            (&[JOB, UNARY], 40.0),
            (&[JOB, CLIENT_STREAM], 20.0),
            (&[JOB, SERVER_STREAM], 40.0),
            (&[JOB, OTHER], 350.0),
        ],
    ),
    (
        "job_method_address:rpc_client_failures:ratio_rate5m",
        &[
            (&[JOB, UNARY, HERE], 0.25),
            (&[JOB, CLIENT_STREAM, HERE], 1.0),
            (&[JOB, SERVER_STREAM, HERE], 0.0),
        ],
    ),
];
const JOB: (&str, &str) = ("job", "shop");

/// The names of the alerts, their methods, and their states: most wait for ten minutes to fire.
const ALERTS: [[&str; 3]; 6] = [
    ["RpcClientFailing", "kinds.Unary/Call", "pending"],
    ["RpcServerFailing", "kinds.Unary/Call", "pending"],
    ["RpcServerFirstFailure", "kinds.Unary/Call", "firing"],
    ["RpcServerSlow", "kinds.ServerStream/Call", "pending"],
    ["RpcServerStuck", "kinds.Bidi/Call", "pending"],
    ["RpcServerUnknownMethods", "_OTHER", "pending"],
];

/// Makes the calls, and asserts that the dashboard, the rules and the alerts know them.
async fn check(route: Route, form: Form) {
    let setting = block_in_place(|| Setting::new(route, form, DIRECTORY));
    let prometheus = &setting.prometheus;
    let service = ScriptedService::default();
    let server = Coverage::Both.serve(&service).await;
    let channel = connect(&server).await;
    // A service of their own, since a release is for the call that has waited longest.
    let stuck_service = ScriptedService::default();
    let stuck_server = Coverage::Both.serve(&stuck_service).await;

    // A series begins with its first value, which is no increase.
    make(&service, &server, &channel, 1).await;
    let (begun, _) = seen(prometheus, 1, 0);
    let mut stuck: Vec<JoinHandle<_>> = Vec::new();
    for _ in 0..STUCK {
        let channel = connect(&stuck_server).await;
        stuck.push(tokio::spawn(async move {
            call(channel, Kind::Bidi, Request::new("wait")).await
        }));
        waits(&stuck_service).await;
    }
    make(&service, &server, &channel, SECOND_ROUND).await;
    let (_, ended) = seen(prometheus, 1 + SECOND_ROUND, STUCK);

    let mut wrong = Vec::new();
    check_panels(prometheus, begun, ended, &mut wrong);
    for (query, rows) in RECORDED {
        block_in_place(|| prometheus.wait_for(query, |found| differences(found, rows, 1.0, true).is_empty()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    wait_for_alerts(prometheus);

    for stuck in stuck {
        stuck_service.release();
        timeout(TIMEOUT, stuck).await.expect("the call ends").unwrap().unwrap();
    }
    setting.telemetry.shutdown(TIMEOUT).await.unwrap();
}

/// Waits until a call has reached its handler.
async fn waits(service: &ScriptedService) {
    timeout(TIMEOUT, service.waits())
        .await
        .expect("the call reaches its handler");
}

/// Makes the calls of a round.
async fn make(service: &ScriptedService, server: &RunningServer, channel: &TracedChannel, times: u32) {
    let mut slow = Vec::new();
    for (kind, text, count) in CALLS {
        for _ in 0..count * times {
            let (channel, request) = (channel.clone(), Request::new(text));
            let called = async move { call(channel, kind, request).await };
            if text == "wait" {
                slow.push(tokio::spawn(called));
                waits(service).await;
            } else {
                // The status is judged in the metrics.
                let _ = called.await;
            }
        }
    }
    let begun = tokio::time::Instant::now();
    let unobserved = server.channel().await;
    for _ in 0..UNKNOWN * times {
        let mut client = tonic::client::Grpc::new(unobserved.clone());
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static("/kinds.Unary/Unknown");
        let codec = tonic_prost::ProstCodec::<Message, Message>::default();
        let message = Message::from("echo");
        client.unary(Request::new(message), path, codec).await.unwrap_err();
    }
    tokio::time::sleep_until(begun + SLOW).await;
    for slow in slow {
        service.release();
        timeout(TIMEOUT, slow).await.expect("the call ends").unwrap().unwrap();
    }
}

/// Waits until Prometheus has seen the calls of so many rounds, of which so many are active.
///
/// Returns the times of the first and the last sample of that moment, in seconds.
fn seen(prometheus: &Prometheus, rounds: u32, active: u32) -> (f64, f64) {
    let called: u32 = CALLS.iter().map(|(_, _, count)| count * rounds).sum();
    let counts = |side: &str| {
        format!("(rpc_{side}_call_duration_seconds_count or histogram_count(rpc_{side}_call_duration_seconds))")
    };
    let are = |side: &str, count: u32| {
        format!(
            "(sum({}) == {count} and sum(rpc_{side}_active_requests) == {active})",
            counts(side)
        )
    };
    let (server, client) = (are("server", called + UNKNOWN * rounds), are("client", called));
    let metrics = r#"__name__=~"rpc_(server|client)_call_duration_seconds(_count)?""#;
    // A single query, so that all samples are of one moment.
    let times = format!(
        "label_replace(timestamp({{{metrics}}}), \"a\", \"b\", \"\", \"\") and on () ({server} and on () {client})"
    );
    let found = block_in_place(|| prometheus.wait_for(&times, |found| !found.is_empty()));
    let times = found.iter().map(|(_, time)| *time);
    (times.clone().fold(f64::INFINITY, f64::min), times.fold(0.0, f64::max))
}

/// Adds what the panels show instead of what they should.
fn check_panels(prometheus: &Prometheus, begun: f64, ended: f64, wrong: &mut Vec<String>) {
    // The samples of a moment are a few milliseconds apart, and a range excludes its beginning.
    const MARGIN: f64 = 0.05;
    let interval = format!("{:.0}ms", (ended - begun + 2.0 * MARGIN) * 1000.0);
    let (mut panel, mut number, mut count) = (String::new(), 0, 0);
    for (title, query) in queries(&interval) {
        number = if title == panel { number + 1 } else { 0 };
        panel.clone_from(&title);
        count += 1;
        let found = block_in_place(|| prometheus.query(&query, Some(ended + MARGIN)));
        let differences = match shown(&title, number) {
            Shown::Calls(rows) => differences(&found, rows, ended - begun, true),
            Shown::Values(rows) => differences(&found, rows, 1.0, true),
            Shown::Among(rows) => differences(&found, rows, 1.0, false),
        };
        wrong.extend(
            differences
                .iter()
                .map(|difference| format!("{title}, query {number}: {difference}")),
        );
    }
    assert_eq!(count, 14);
}

/// Waits until the alerts are those of the calls.
fn wait_for_alerts(prometheus: &Prometheus) {
    let expected = BTreeSet::from(ALERTS.map(|alert| alert.map(str::to_owned)));
    until_found(|| {
        let answer = block_in_place(|| prometheus.api("alerts"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let alerts = answer["alerts"].as_array().unwrap().iter();
        let found: BTreeSet<[String; 3]> = alerts
            .map(|alert| {
                let labels = &alert["labels"];
                [
                    text(&labels["alertname"]),
                    text(&labels["rpc_method"]),
                    text(&alert["state"]),
                ]
            })
            .collect();
        if found == expected {
            Ok(())
        } else {
            Err(format!("{found:#?}"))
        }
    });
}
