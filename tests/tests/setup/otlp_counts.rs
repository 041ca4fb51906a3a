//! Everything recorded before the shutdown is exported, on any runtime and by either protocol.

use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Collector, Content, points};
use opentelemetry_proto::tonic::common::v1::any_value::Value;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");

fn assert_all_arrived(collector: &Collector, spans: usize, logs: usize, counters: usize) {
    assert_eq!(
        collector.spans().iter().filter(|span| span.name == "made").count(),
        spans
    );
    assert_eq!(logged(collector, "made"), logs);
    let metrics = collector
        .metrics()
        .into_iter()
        .filter(|metric| metric.name.starts_with("made."));
    assert_eq!(metrics.map(|metric| points(&metric)).sum::<usize>(), counters);
}

/// Counts the log records with this text: the SDK adds some of its own.
fn logged(collector: &Collector, text: &str) -> usize {
    let bodies = collector
        .log_records()
        .into_iter()
        .filter_map(|record| record.body?.value);
    bodies
        .filter(|body| *body == Value::StringValue(text.to_owned()))
        .count()
}

#[test]
fn each_protocol_on_each_runtime() {
    for protocol in ["grpc", "http/protobuf"] {
        for runtime in ["bare", "current_thread", "multi_thread"] {
            println!("{protocol} {runtime}");
            let collector = Collector::start();
            let variables = [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ];
            let (mut driven, ready) = DrivenProcess::start(DRIVEN, &[runtime], variables);
            assert_eq!(ready, "ready");
            // Each count exceeds a batch, but fits into the queue.
            for line in ["spans 1500", "logs 1200", "counters 30"] {
                driven.send(line);
            }
            let answer = driven.send("shutdown 20000");
            assert!(answer.starts_with("ok "), "{answer}");
            assert_all_arrived(&collector, 1500, 1200, 30);
            // A second shutdown has no effect.
            assert!(driven.send("shutdown 20000").starts_with("ok "));
            drop(driven.end());
            assert_all_arrived(&collector, 1500, 1200, 30);
        }
    }
}

#[test]
fn dropping_telemetry_exports_on_each_runtime() {
    for runtime in ["bare", "current_thread", "multi_thread"] {
        println!("{runtime}");
        let collector = Collector::start();
        let url = collector.url();
        let (mut driven, _) = DrivenProcess::start(DRIVEN, &[runtime], [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)]);
        for line in ["spans 700", "logs 5", "counters 5", "drop"] {
            driven.send(line);
        }
        assert_all_arrived(&collector, 700, 5, 5);
    }
}

#[test]
fn repeated_flushes() {
    let collector = Collector::start();
    let url = collector.url();
    let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread"], [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)]);
    for round in 1..=2 {
        for line in ["spans 10", "logs 10"] {
            driven.send(line);
        }
        let answer = driven.send("flush 20000");
        assert!(answer.starts_with("ok "), "{answer}");
        assert_all_arrived(&collector, 10 * round, 10 * round, 0);
    }
    driven.send("counters 3");
    assert!(driven.send("flush 20000").starts_with("ok "));
    assert_all_arrived(&collector, 20, 20, 3);
}

#[test]
fn one_line_setup_exports_all_three_signals() {
    let collector = Collector::start();
    let url = collector.url();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("OTEL_SERVICE_NAME", "greeter")];
    let ended = integration_tests::child::run(env!("CARGO_BIN_EXE_service"), &["25"], variables);
    assert!(ended.success, "{}", ended.stderr);
    assert_eq!(collector.spans().len(), 50, "a client's and a server's each");
    assert_eq!(logged(&collector, "greeting"), 25);
    let names: Vec<String> = collector.metrics().into_iter().map(|metric| metric.name).collect();
    assert!(names.contains(&"rpc.server.call.duration".to_owned()), "{names:?}");
    for received in collector.received() {
        let resource = match received.content {
            Content::Traces(traces) => traces.resource_spans[0].resource.clone(),
            Content::Metrics(metrics) => metrics.resource_metrics[0].resource.clone(),
            Content::Logs(logs) => logs.resource_logs[0].resource.clone(),
        };
        let attributes = resource.unwrap().attributes;
        let name = attributes.iter().find(|attribute| attribute.key == "service.name");
        let name = name.and_then(|name| name.value.clone()?.value);
        assert_eq!(name, Some(Value::StringValue("greeter".to_owned())));
    }
}
