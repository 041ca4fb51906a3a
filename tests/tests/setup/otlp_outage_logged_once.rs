//! An outage of the OTLP receiver is logged once, and so is its end.

use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Behaviour, Collector, Content};

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");

fn about(log: &[String], text: &str) -> usize {
    log.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn outage_is_logged_once_for_many_batches() {
    for protocol in ["grpc", "http/protobuf"] {
        println!("{protocol}");
        let collector = Collector::start();
        collector.behave(Behaviour::Refuse);
        let url = collector.url();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ];
        let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread"], variables);
        for _ in 0..5 {
            driven.send("spans 2");
            assert!(driven.send("flush 20000").starts_with("error "));
        }
        collector.behave(Behaviour::Accept);
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
        assert!(lost.contains("spans are lost: ") && lost.contains(&url), "{lost}");
        assert!(
            lost.contains(if protocol == "grpc" {
                "InvalidArgument"
            } else {
                "400 Bad Request"
            }),
            "{lost}"
        );
        assert!(back.contains("is reachable again; 10 spans were lost"), "{back}");
    }
}

/// A partial success is logged by the exporter of the crate `opentelemetry-otlp`.
///
/// Rejected items count as exported, because that crate does not return them.
#[test]
fn partial_success_is_logged() {
    let collector = Collector::start();
    collector.behave(Behaviour::PartialSuccess(3));
    let url = collector.url();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread"], variables);
    driven.send("spans 5");
    assert!(driven.send("shutdown 20000").starts_with("ok "));
    let log = driven.end();
    let [told] = &log[..] else { panic!("{log:#?}") };
    assert!(
        told.contains("PartialSuccess") && told.contains("rejected_spans=3"),
        "{told}"
    );
    assert!(told.contains("too many"), "{told}");
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
