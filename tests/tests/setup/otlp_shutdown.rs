//! A shutdown respects its timeout, and its error tells the losses and their cause.
//!
//! This holds for each way in which the OTLP receiver can misbehave.

use std::time::Duration;

use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Behaviour, Collector};
use integration_tests::free_address::free_address;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");
/// Restricts log records to those of the test.
const ONLY_OURS: (&str, &str) = ("RUST_LOG", "off,driven=info");

fn start(endpoint: &str, protocol: &str) -> DrivenProcess {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ONLY_OURS,
    ];
    let (driven, ready) = DrivenProcess::start(DRIVEN, &["current_thread"], variables);
    assert_eq!(ready, "ready");
    driven
}

fn make(driven: &mut DrivenProcess) {
    for line in ["spans 20", "logs 10", "counters 3"] {
        driven.send(line);
    }
}

/// Splits an error answer into the time in milliseconds, and the error.
fn error(answer: &str) -> (u64, String) {
    let rest = answer.strip_prefix("error ").unwrap_or_else(|| panic!("{answer}"));
    let (took, text) = rest.split_once(' ').unwrap();
    (took.parse().unwrap(), text.to_owned())
}

#[test]
fn connection_refused() {
    for protocol in ["grpc", "http/protobuf"] {
        let address = free_address();
        let mut driven = start(&format!("http://{address}"), protocol);
        make(&mut driven);
        let (took, text) = error(&driven.send("shutdown 4000"));
        assert!((2000..4000).contains(&took), "it tries as long as it may: {took} ms");
        let path = |signal| {
            if protocol == "grpc" {
                String::new()
            } else {
                format!("/v1/{signal}")
            }
        };
        for (signal, lost) in [
            ("traces", "20 of 20 spans"),
            ("metrics", "3 of 3 metric data points"),
            ("logs", "10 of 10 log records"),
        ] {
            let expected = format!(
                "{signal}: {lost} were not delivered to http://{address}{} (",
                path(signal)
            );
            assert!(text.contains(&expected), "{text}");
        }
        assert!(text.starts_with("[20, 3, 10] telemetry was lost: traces: "), "{text}");
        assert_eq!(text.matches("Connection refused").count(), 3, "{text}");
        // A second shutdown returns the same error.
        assert_eq!(error(&driven.send("shutdown 4000")).1, text);
    }
}

#[test]
fn receiver_hangs() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start();
        collector.behave(Behaviour::Hang);
        let mut driven = start(&collector.url(), protocol);
        make(&mut driven);
        let (took, text) = error(&driven.send("shutdown 300"));
        assert!((280..2000).contains(&took), "{took} ms");
        assert!(text.starts_with("[20, 3, 10] "), "{text}");
        let not_known = text.contains("20 were not exported within 300ms") || text.contains("no response within");
        assert!(not_known, "{text}");
    }
}

#[test]
fn slow_receiver() {
    let collector = Collector::start();
    collector.behave(Behaviour::Slow(Duration::from_millis(300)));
    let mut driven = start(&collector.url(), "grpc");
    make(&mut driven);
    let answer = driven.send("shutdown 20000");
    assert!(answer.starts_with("ok "), "{answer}");
    assert_eq!(collector.spans().len(), 20);
}

/// The SDK's metric reader stops waiting after five seconds, regardless of its timeout.
#[test]
fn receiver_slower_than_the_sdks_metric_reader() {
    let collector = Collector::start();
    collector.behave(Behaviour::Slow(Duration::from_millis(5500)));
    let mut driven = start(&collector.url(), "grpc");
    driven.send("counters 3");
    let answer = driven.send("shutdown 30000");
    assert!(answer.starts_with("ok "), "{answer}");
}

#[test]
fn receiver_fails() {
    for (protocol, behaviour, expected) in [
        ("grpc", Behaviour::Unavailable, "refused: UNAVAILABLE: of the test"),
        (
            "http/protobuf",
            Behaviour::Unavailable,
            "refused: 503 Service Unavailable",
        ),
        ("grpc", Behaviour::Refuse, "refused: INVALID_ARGUMENT: of the test"),
        ("http/protobuf", Behaviour::Refuse, "refused: 400 Bad Request"),
    ] {
        println!("{protocol} {behaviour:?}");
        let is_retried = matches!(behaviour, Behaviour::Unavailable);
        let collector = Collector::start();
        collector.behave(behaviour);
        let mut driven = start(&collector.url(), protocol);
        make(&mut driven);
        let (took, text) = error(&driven.send("shutdown 4000"));
        assert!(took < 4000, "{took} ms");
        assert!(text.starts_with("[20, 3, 10] "), "{text}");
        assert_eq!(text.contains(" attempts"), is_retried, "{text}");
        assert_eq!(text.matches(expected).count(), 3, "{text}");
    }
}

/// Spans are dropped if the queue is full, and the error counts them.
#[test]
fn error_counts_items_dropped_by_a_full_queue() {
    let collector = Collector::start();
    let url = collector.url();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "64"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "64"),
        ONLY_OURS,
    ];
    let (mut driven, _) = DrivenProcess::start(DRIVEN, &["bare"], variables);
    driven.send("spans 20000");
    driven.send("logs 20000");
    let answer = driven.send("shutdown 20000");
    let (spans, logs) = (collector.spans().len(), collector.log_records().len());
    let (_, text) = error(&answer);
    assert!(
        text.starts_with(&format!("[{}, 0, {}] ", 20_000 - spans, 20_000 - logs)),
        "{spans}, {logs}: {text}"
    );
    let expected = format!(
        "traces: {} of 20000 spans were not delivered to {url} ({} found the queue full",
        20_000 - spans,
        20_000 - spans
    );
    assert!(text.contains(&expected), "{text}");
}

/// Losses of earlier flushes are reported, even if later exports succeed.
#[test]
fn error_includes_earlier_losses() {
    let collector = Collector::start();
    collector.behave(Behaviour::Refuse);
    let mut driven = start(&collector.url(), "grpc");
    driven.send("spans 7");
    let (_, text) = error(&driven.send("flush 20000"));
    assert!(text.starts_with("[7, 0, 0] "), "{text}");
    collector.behave(Behaviour::Accept);
    driven.send("spans 5");
    let answer = driven.send("flush 20000");
    assert!(answer.starts_with("ok "), "a flush tells of itself: {answer}");
    let (_, text) = error(&driven.send("shutdown 20000"));
    assert!(text.contains("traces: 7 of 12 spans were not delivered"), "{text}");
    assert_eq!(collector.spans().len(), 5);
}

#[test]
fn flush_respects_its_timeout() {
    let collector = Collector::start();
    collector.behave(Behaviour::Hang);
    let mut driven = start(&collector.url(), "grpc");
    make(&mut driven);
    let (took, text) = error(&driven.send("flush 200"));
    assert!((190..2000).contains(&took), "{took} ms");
    assert!(text.contains("not finished within 200ms"), "{text}");
}

#[test]
fn drop_takes_at_most_five_seconds() {
    let collector = Collector::start();
    collector.behave(Behaviour::Hang);
    let mut driven = start(&collector.url(), "grpc");
    make(&mut driven);
    let answer = driven.send("drop");
    let took: u64 = answer.strip_prefix("done ").unwrap().parse().unwrap();
    assert!((4700..8000).contains(&took), "{took} ms");
}

/// After an outage, cumulative metrics include the failed exports, but deltas do not.
#[test]
fn cumulative_metrics_recover_after_an_outage() {
    for (temporality, answer) in [("cumulative", "ok "), ("delta", "error ")] {
        let collector = Collector::start();
        collector.behave(Behaviour::Refuse);
        let url = collector.url();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ];
        let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread"], variables);
        driven.send("counters 2");
        assert!(driven.send("flush 20000").starts_with("error "));
        collector.behave(Behaviour::Accept);
        driven.send("counters 1");
        let told = driven.send("shutdown 20000");
        assert!(told.starts_with(answer), "{temporality}: {told}");
        drop(driven.end());
    }
}
