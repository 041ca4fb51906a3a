//! An outage of the OTLP receiver is logged once, and so is its end.

use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Behaviour, Collector, Content};
use integration_tests::free_address::free_address;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");

/// Starts a process that exports spans only, with a timeout in milliseconds.
fn start(url: &str, protocol: &str, timeout: &str) -> (DrivenProcess, String) {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    DrivenProcess::start(DRIVEN, &["multi_thread"], variables)
}

fn about(log: &[String], text: &str) -> usize {
    log.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn outage_is_logged_once_for_many_batches() {
    for protocol in ["grpc", "http/protobuf"] {
        println!("{protocol}");
        let address = free_address();
        let url = format!("http://{address}");
        let (mut driven, _) = start(&url, protocol, "100");
        for _ in 0..5 {
            driven.send("spans 2");
            assert!(driven.send("flush 20000").starts_with("error "));
        }
        let _collector = Collector::start_at(address);
        for _ in 0..5 {
            driven.send("spans 2");
            assert!(driven.send("flush 20000").starts_with("ok "));
        }
        driven.send("shutdown 20000");
        let log = driven.end();
        let warnings: Vec<&String> = log
            .iter()
            .filter(|line| line.contains("WARN") || line.contains("ERROR"))
            .collect();
        let [lost, back] = &warnings[..] else {
            panic!("{log:#?}")
        };
        assert!(
            lost.contains(&format!("2 spans were not delivered to {url}")) && lost.contains(": unreachable: "),
            "{lost}"
        );
        assert!(lost.contains("(logged at most once a minute)"), "{lost}");
        assert!(back.contains("is reachable again; 10 spans were lost"), "{back}");
    }
}

/// A receiver that refuses some batches is logged once, however often it accepts others.
#[test]
fn refused_batches_are_logged_once() {
    for (protocol, code) in [("grpc", "INVALID_ARGUMENT"), ("http/protobuf", "400 Bad Request")] {
        println!("{protocol}");
        let collector = Collector::start();
        let url = collector.url();
        let (mut driven, _) = start(&url, protocol, "10000");
        for _ in 0..5 {
            for (behaviour, answer) in [(Behaviour::Refuse, "error "), (Behaviour::Accept, "ok ")] {
                collector.behave(behaviour);
                driven.send("spans 2");
                assert!(driven.send("flush 20000").starts_with(answer));
            }
        }
        let answer = driven.send("shutdown 20000");
        assert!(answer.contains("[10, 0, 0]"), "{answer}");
        let expected = format!("traces: 10 of 20 spans were not delivered to {url}");
        assert!(answer.contains(&expected), "{answer}");
        assert!(answer.contains(&format!("(10 refused: {code}")), "{answer}");
        let log = driven.end();
        let [lost] = &log[..] else { panic!("{log:#?}") };
        assert!(lost.contains(&format!("2 spans were not delivered to {url}")), "{lost}");
        assert!(lost.contains(&format!(": refused: {code}")), "{lost}");
    }
}

/// Spans that end after the shutdown are not logged one by one.
#[test]
fn spans_after_shutdown_are_not_logged_one_by_one() {
    let collector = Collector::start();
    let url = collector.url();
    let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread"], [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)]);
    driven.send("shutdown 20000");
    driven.send("spans 50");
    driven.send("logs 50");
    assert!(
        driven.send("shutdown 20000").starts_with("ok "),
        "it was there before them"
    );
    let log = driven.end();
    assert_eq!(about(&log, "WARN") + about(&log, "ERROR"), 0, "{log:#?}");
}

/// An export creates no telemetry, which would have to be exported in turn.
#[test]
fn exports_create_no_telemetry() {
    let collector = Collector::start();
    let url = collector.url();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("RUST_LOG", "trace")];
    let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread"], variables);
    for _ in 0..3 {
        driven.send("spans 1");
        assert!(driven.send("flush 20000").starts_with("ok "));
    }
    driven.send("shutdown 20000");
    // The target of a log record is the name of its scope.
    let received = collector.received().into_iter();
    let logs = received.filter_map(|received| match received.content {
        Content::Logs(logs) => Some(logs),
        _ => None,
    });
    let logs = logs
        .flat_map(|logs| logs.resource_logs)
        .flat_map(|logs| logs.scope_logs);
    let targets: Vec<String> = logs.filter_map(|logs| Some(logs.scope?.name)).collect();
    let is_of_transport = |target: &String| {
        ["h2", "hyper", "tonic", "tower"]
            .iter()
            .any(|name| target.starts_with(name))
    };
    assert!(!targets.iter().any(is_of_transport), "{targets:?}");
    let scopes = collector.received().into_iter().flat_map(|received| received.spans());
    assert!(scopes.into_iter().all(|span| span.name == "made"));
    // At a lower level, the export's own events are logged.
    let log = driven.end();
    assert!(
        log.iter().any(|line| line.contains("h2::") || line.contains("hyper")),
        "{}",
        log.len()
    );
}
