//! A real Collector and a real Jaeger: everything arrives once, and says the truth.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::free_address::free_address;
use integration_tests::own_process::in_own_process_with;
use integration_tests::server::TIMEOUT;
use otel_setup::{Exporter, ShutdownError, Signal};
use peers::backends::{
    self, Collector, Jaeger, Receiver, install_collector, install_jaeger, logs, scraped, spans, wait_for,
};
use serde_json::Value;

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");
const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

/// Runs the body on a runtime with threads, as a service has it.
fn block_on<F: Future>(body: F) -> F::Output {
    // The panics are those of the calls.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.unwrap().block_on(body)
}

fn protocol() -> String {
    std::env::var(PROTOCOL).unwrap()
}

fn telemetry(endpoint: &str) -> otel_setup::Telemetry {
    let builder = otel_setup::builder().service_name("shop").otlp_endpoint(endpoint);
    builder.init().unwrap()
}

/// Returns an attribute as text, or nothing.
fn attribute(item: &Value, name: &str) -> String {
    let attributes = item["attributes"].as_array().into_iter().flatten();
    let mut named = attributes.filter(|attribute| attribute["key"] == name);
    let value = named.next().map(|attribute| attribute["value"]["stringValue"].clone());
    value
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().unwrap_or_default()
}

/// Asserts that the Collector has the spans and the log records of this number of rounds of calls.
fn assert_received(collector: &Collector, rounds: usize) {
    let (calls, panics) = backends::totals();
    let spans = collector.received("traces", 2 * calls * rounds, spans);
    let ids: BTreeSet<&str> = spans.iter().map(|span| text(span, "spanId")).collect();
    assert_eq!(ids.len(), spans.len(), "no span arrives twice");
    for (side, kind) in [(0, 2), (1, 3)] {
        let mut found = BTreeMap::new();
        for span in spans.iter().filter(|span| span["kind"] == kind) {
            let key = ["rpc.method", "rpc.status_code", "error.type"].map(|name| attribute(span, name));
            *found.entry(key).or_insert(0.0) += 1.0;
        }
        assert_eq!(found, backends::counts(side, rounds));
    }
    for span in &spans {
        assert_eq!(attribute(&span["resource"], "service.name"), "shop");
        assert_eq!(span["scope"]["name"], "otel-runtime");
        assert!(text(span, "endTimeUnixNano") >= text(span, "startTimeUnixNano"));
        // A server's span is the child of a client's.
        let is_child = ids.contains(text(span, "parentSpanId"));
        assert_eq!(is_child, span["kind"] == 2, "{span}");
    }
    let logs = collector.received("logs", panics * rounds, logs);
    for log in logs {
        assert_eq!(log["eventName"], "rpc.server.call.exception");
        assert!(ids.contains(text(&log, "spanId")), "{log}");
    }
}

const LABELS: [&str; 3] = ["rpc_method", "rpc_status_code", "error_type"];

/// Asserts that metrics of spans and ours have the numbers of the calls, and the same durations.
fn assert_metrics(collector: &Collector) {
    let metrics = collector.metrics();
    let of_spans = "traces_span_metrics_duration_milliseconds";
    for (side, name, kind) in [(0, "server", "SPAN_KIND_SERVER"), (1, "client", "SPAN_KIND_CLIENT")] {
        let ours = format!("rpc_{name}_call_duration_seconds");
        let kind = Some(("span_kind", kind));
        let expected = backends::counts(side, 1);
        wait_for(metrics, &format!("{ours}_count"), None, LABELS, &expected);
        wait_for(metrics, "traces_span_metrics_calls_total", kind, LABELS, &expected);
        wait_for(metrics, &format!("{of_spans}_count"), kind, LABELS, &expected);
        let seconds = scraped(metrics, &format!("{ours}_sum"), None, LABELS);
        let milliseconds = scraped(metrics, &format!("{of_spans}_sum"), kind, LABELS);
        assert_eq!(seconds.len(), expected.len());
        for (key, seconds) in seconds {
            let of_spans = milliseconds[&key] / 1000.0;
            assert!((seconds - of_spans).abs() < 1e-9, "{key:?}: {seconds} and {of_spans}");
        }
    }
    let none = BTreeMap::from([(["grpc".to_owned()], 0.0)]);
    wait_for(metrics, "rpc_server_active_requests", None, ["rpc_system_name"], &none);
}

#[test]
fn everything_arrives_once_and_metrics_of_spans_are_ours() {
    let program = install_collector(DIRECTORY);
    for protocol_name in PROTOCOLS {
        in_own_process_with(&[(PROTOCOL, protocol_name)], || {
            let collector = Collector::start(&program);
            block_on(async {
                let telemetry = telemetry(&collector.endpoint(&protocol()));
                backends::make().await;
                telemetry.shutdown(TIMEOUT).await.unwrap();
            });
            assert_received(&collector, 1);
            assert_metrics(&collector);
        });
    }
}

#[test]
fn queries_give_the_same_numbers_behind_a_collector() {
    let program = install_collector(DIRECTORY);
    in_own_process_with(&[(PROTOCOL, "grpc")], || {
        let collector = Collector::start(&program);
        block_on(async {
            let builder = otel_setup::builder()
                .service_name("shop")
                .otlp_endpoint(collector.endpoint("grpc"));
            let builder = builder.metric_exporters([Exporter::Otlp, Exporter::Prometheus]);
            let telemetry = builder.prometheus_address(free_address()).init().unwrap();
            backends::make().await;
            telemetry.flush(TIMEOUT).await.unwrap();
            let direct = telemetry.prometheus_address().unwrap();
            let labels = [
                "rpc_system_name",
                "rpc_method",
                "rpc_status_code",
                "error_type",
                "server_address",
                "le",
            ];
            for name in [
                "rpc_server_call_duration_seconds_bucket",
                "rpc_server_call_duration_seconds_count",
                "rpc_server_call_duration_seconds_sum",
                "rpc_client_call_duration_seconds_bucket",
                "rpc_client_call_duration_seconds_count",
                "rpc_client_call_duration_seconds_sum",
                "rpc_server_active_requests",
                "rpc_client_active_requests",
            ] {
                let found = scraped(collector.metrics(), name, None, labels);
                assert!(!found.is_empty(), "{name}");
                assert_eq!(found, scraped(direct, name, None, labels), "{name}");
            }
            telemetry.shutdown(TIMEOUT).await.unwrap();
        });
    });
}

#[test]
fn a_collector_that_is_restarted_gets_everything_once() {
    let program = install_collector(DIRECTORY);
    for protocol_name in PROTOCOLS {
        in_own_process_with(&[(PROTOCOL, protocol_name)], || {
            let mut collector = Collector::start(&program);
            block_on(async {
                let telemetry = telemetry(&collector.endpoint(&protocol()));
                backends::make().await;
                telemetry.flush(TIMEOUT).await.unwrap();
                // A killed Collector loses what it has accepted and not written yet.
                assert_received(&collector, 1);
                collector.kill();
                backends::make().await;
                collector.restart();
                backends::make().await;
                telemetry.shutdown(TIMEOUT).await.unwrap();
            });
            assert_received(&collector, 3);
            // Ours are cumulative, so the new Collector has those of all rounds.
            let expected = backends::counts(0, 3);
            let count = "rpc_server_call_duration_seconds_count";
            wait_for(collector.metrics(), count, None, LABELS, &expected);
        });
    }
}

#[test]
fn a_collector_that_starts_late_gets_everything_once() {
    let program = install_collector(DIRECTORY);
    for protocol_name in PROTOCOLS {
        in_own_process_with(&[(PROTOCOL, protocol_name)], || {
            let mut collector = Collector::stopped(&program);
            block_on(async {
                let telemetry = telemetry(&collector.endpoint(&protocol()));
                backends::make().await;
                collector.restart();
                telemetry.shutdown(TIMEOUT).await.unwrap();
            });
            assert_received(&collector, 1);
            assert_metrics(&collector);
        });
    }
}

#[test]
fn without_a_collector_the_loss_is_counted() {
    let program = install_collector(DIRECTORY);
    for protocol_name in PROTOCOLS {
        in_own_process_with(&[(PROTOCOL, protocol_name)], || {
            let collector = Collector::stopped(&program);
            let error: ShutdownError = block_on(async {
                let telemetry = telemetry(&collector.endpoint(&protocol()));
                backends::make().await;
                telemetry.shutdown(std::time::Duration::from_secs(1)).await.unwrap_err()
            });
            let (calls, panics) = backends::totals();
            assert_eq!(error.lost(Signal::Traces), 2 * calls as u64, "{error}");
            assert_eq!(error.lost(Signal::Logs), panics as u64, "{error}");
        });
    }
}

/// Searches, and the number of traces that each finds.
fn searches() -> Vec<(Vec<(&'static str, &'static str)>, usize)> {
    let (calls, panics) = backends::totals();
    let of_all_kinds = 4;
    vec![
        (vec![], calls),
        (vec![("operation", "kinds.Unary/Call")], calls / of_all_kinds),
        (vec![("operation", "kinds.Unary/Unknown")], 0),
        (vec![("tags", r#"{"rpc.status_code":"NOT_FOUND"}"#)], 2 * of_all_kinds),
        (vec![("tags", r#"{"error.type":"INTERNAL"}"#)], of_all_kinds),
        (vec![("tags", r#"{"error.type":"panic"}"#)], panics),
        (
            vec![("tags", r#"{"rpc.method":"kinds.Bidi/Call","rpc.status_code":"OK"}"#)],
            3,
        ),
        (vec![("tags", r#"{"otel.status_description":"as asked: 13"}"#)], 0),
        (vec![("minDuration", "1h")], 0),
        // Jaeger 1.76 finds nothing in memory.
        (vec![("tags", r#"{"error":"true"}"#)], 0),
    ]
}

#[test]
fn jaeger_finds_what_users_search_for() {
    let program = install_jaeger(DIRECTORY);
    in_own_process_with(&[(PROTOCOL, "grpc")], || {
        let jaeger = Jaeger::start(&program);
        block_on(async {
            let telemetry = telemetry(&jaeger.endpoint);
            backends::make().await;
            // Jaeger has no metrics and no logs.
            let _ = telemetry.shutdown(TIMEOUT).await;
        });
        let service = ("service", "shop");
        jaeger.wait_for(&[service], backends::totals().0);
        let mut wrong = Vec::new();
        for (search, expected) in searches() {
            let parameters: Vec<_> = search.iter().copied().chain([service]).collect();
            let found = jaeger.search(&parameters).len();
            if found != expected {
                wrong.push(format!("{search:?}: {found} instead of {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(jaeger.api("services"), serde_json::json!(["shop"]));
        for trace in jaeger.search(&[service]) {
            let spans = trace["spans"].as_array().unwrap();
            let [child, parent] = [true, false].map(|is_child| {
                let mut found = spans
                    .iter()
                    .filter(|span| span["references"].as_array().unwrap().is_empty() != is_child);
                found.next().unwrap_or_else(|| panic!("{trace}"))
            });
            assert_eq!(spans.len(), 2);
            assert_eq!(child["references"][0]["spanID"], parent["spanID"]);
            for (span, kind) in [(child, "server"), (parent, "client")] {
                let tag = |name: &str| {
                    let mut tags = span["tags"].as_array().unwrap().iter();
                    tags.find(|tag| tag["key"] == name).map(|tag| tag["value"].clone())
                };
                assert_eq!(tag("span.kind"), Some(kind.into()));
                let has_failed = tag("error.type").is_some();
                assert_eq!(tag("error"), has_failed.then_some(true.into()));
                assert_eq!(tag("otel.status_code"), has_failed.then_some("ERROR".into()));
            }
        }
    });
}
