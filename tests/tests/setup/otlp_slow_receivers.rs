//! An OTLP receiver that never answers costs no reply, and the queues stay bounded.

use integration_tests::child::run;
use integration_tests::collector::{Behaviour, Collector};

const CALLS: &str = "5000";

#[test]
fn hanging_receiver_costs_no_reply() {
    let collector = Collector::start();
    collector.behave(Behaviour::Hang);
    let url = collector.url();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("RUST_LOG", "off,service=info,otel_setup=warn"),
    ];
    // The program panics if a reply is missing, and limits the shutdown to five seconds.
    let ended = run(env!("CARGO_BIN_EXE_service"), &[CALLS], variables);
    assert!(!ended.success);
    assert!(
        ended.stderr.starts_with("shutdown: telemetry was lost: "),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("traces: 10000 of 10000 spans were not delivered"),
        "{}",
        ended.stderr
    );
    // The two warnings about full queues are log records as well.
    assert!(
        ended
            .stderr
            .contains("logs: 5002 of 5002 log records were not delivered"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains(" too late for the shutdown"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}
