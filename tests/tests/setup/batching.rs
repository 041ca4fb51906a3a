//! Tests of `OTEL_BSP_*`, `OTEL_BLRP_*` and `OTEL_METRIC_EXPORT_INTERVAL` with an OTLP receiver.

use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Behaviour, Collector, Content, Received};

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");
/// A delay in milliseconds that is longer than any test.
const NEVER: &str = "3600000";

/// Starts a process that exports only at its end, unless `variables` say otherwise.
fn start(collector: &Collector, variables: &[(&str, &str)]) -> DrivenProcess {
    let url = collector.url();
    let waiting = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_BSP_SCHEDULE_DELAY", NEVER),
        ("OTEL_BLRP_SCHEDULE_DELAY", NEVER),
        ("OTEL_METRIC_EXPORT_INTERVAL", NEVER),
    ];
    let variables = waiting.iter().chain(variables).copied();
    let (driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables);
    assert_eq!(ready, "ready");
    driven
}

fn has_spans(received: &[Received]) -> bool {
    received.iter().any(|received| !received.spans().is_empty())
}

fn has_logs(received: &[Received]) -> bool {
    received.iter().any(|received| !received.log_records().is_empty())
}

fn has_metrics(received: &[Received]) -> bool {
    received.iter().any(|received| !received.metrics().is_empty())
}

#[test]
fn schedule_delay_is_the_time_before_an_export() {
    for (variable, line, has_come) in [
        (
            "OTEL_BSP_SCHEDULE_DELAY",
            "spans 3",
            has_spans as fn(&[Received]) -> bool,
        ),
        ("OTEL_BLRP_SCHEDULE_DELAY", "logs 3", has_logs),
        ("OTEL_METRIC_EXPORT_INTERVAL", "counters 3", has_metrics),
    ] {
        let collector = Collector::start();
        let mut driven = start(&collector, &[(variable, "10")]);
        for line in ["spans 3", "logs 3", "counters 3"] {
            driven.send(line);
        }
        let received = collector.wait_until(|received| has_come(received));
        for (others, has_come) in [
            ("spans 3", has_spans as fn(&[Received]) -> bool),
            ("logs 3", has_logs),
            ("counters 3", has_metrics),
        ] {
            assert_eq!(has_come(&received), others == line, "{variable}: {others}");
        }
        assert!(driven.send("shutdown 20000").starts_with("ok "));
        let received = collector.received();
        assert!(
            has_spans(&received) && has_logs(&received) && has_metrics(&received),
            "the rest at the end"
        );
        drop(driven.end());
    }
}

#[test]
fn metrics_are_exported_periodically() {
    let collector = Collector::start();
    let mut driven = start(&collector, &[("OTEL_METRIC_EXPORT_INTERVAL", "10")]);
    driven.send("counters 1");
    let times = |received: &[Received]| {
        received
            .iter()
            .filter(|received| !received.metrics().is_empty())
            .count()
    };
    collector.wait_until(|received| times(received) >= 3);
    assert!(driven.send("shutdown 20000").starts_with("ok "));
    drop(driven.end());
}

#[test]
fn an_export_has_at_most_one_batch() {
    let collector = Collector::start();
    let sizes = [
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "3"),
    ];
    let mut driven = start(&collector, &sizes);
    driven.send("spans 10");
    driven.send("logs 7");
    assert!(driven.send("shutdown 20000").starts_with("ok "));
    drop(driven.end());
    let received = collector.received();
    let spans = received
        .iter()
        .map(|received| received.spans().len())
        .filter(|count| *count > 0);
    let spans: Vec<usize> = spans.collect();
    assert_eq!(spans.iter().sum::<usize>(), 10);
    assert!(spans.iter().all(|count| *count <= 4), "{spans:?}");
    let logs = received
        .iter()
        .filter(|received| matches!(received.content, Content::Logs(_)));
    assert!(logs.clone().count() >= 3);
    for request in logs {
        assert!(request.log_records().len() <= 3);
    }
}

#[test]
fn items_beyond_the_queue_size_are_dropped_and_counted() {
    for (variable, line, unit, recorded) in [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "spans 200", "spans", 200),
        // The warning about the full queue is a log record, too.
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "logs 200", "log records", 201),
    ] {
        let collector = Collector::start();
        // The first export hangs for a while, so that the following items fill the queue.
        collector.behave(Behaviour::Hang);
        let mut driven = start(&collector, &[(variable, "8"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "200")]);
        driven.send(line);
        collector.behave(Behaviour::Accept);
        let answer = driven.send("shutdown 20000");
        let reason = format!("found the queue full: {variable} is 8");
        assert!(answer.contains(&reason), "{answer}");
        let arrived = match line {
            "spans 200" => collector.spans().len(),
            _ => collector.log_records().len(),
        };
        let exact = format!(" {} of {recorded} {unit} ", recorded - arrived);
        assert!(answer.contains(&exact), "{arrived}: {answer}");
        // Items in the queue and in the batch that is being exported. On a slow machine one batch
        // more, if the first has timed out before the last items are recorded.
        assert!(arrived <= 3 * 8, "{arrived}: {answer}");
        let log = driven.end();
        let warning = format!(
            " 1 {} for {} {reason} (logged at most once a minute)",
            unit.trim_end_matches('s'),
            collector.url()
        );
        assert_eq!(log.iter().filter(|line| line.contains(&warning)).count(), 1, "{log:#?}");
    }
}

#[test]
fn queues_are_bounded() {
    for (variable, value) in [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1000000000"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "18446744073709551615"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "18446744073709551615"),
    ] {
        let collector = Collector::start();
        let mut driven = start(&collector, &[(variable, value)]);
        driven.send("spans 3");
        driven.send("logs 3");
        let answer = driven.send("shutdown 20000");
        assert!(answer.starts_with("ok "), "{variable}: {answer}");
        assert_eq!(collector.spans().len(), 3);
        let log = driven.end();
        let warning = format!("{variable}=\"{value}\" is greater than ");
        assert_eq!(log.iter().filter(|line| line.contains(&warning)).count(), 1, "{log:#?}");
    }
}
