//! Nothing is lost while an OTLP receiver is away, if the queue and the timeout have room.

use std::thread;
use std::time::Duration;

use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Behaviour, Collector};
use integration_tests::free_address::free_address;
use integration_tests::proxy::Proxy;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");
const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

/// Starts a process whose log records are those of the test, with a timeout in milliseconds.
fn start(endpoint: &str, protocol: &str, timeout: &str) -> DrivenProcess {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
        ("RUST_LOG", "off,driven=info,otel_setup=warn"),
    ];
    let (driven, ready) = DrivenProcess::start(DRIVEN, &["current_thread"], variables);
    assert_eq!(ready, "ready");
    driven
}

fn start_spans(endpoint: &str, protocol: &str, timeout: &str) -> DrivenProcess {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let (driven, ready) = DrivenProcess::start(DRIVEN, &["current_thread"], variables);
    assert_eq!(ready, "ready");
    driven
}

fn record(driven: &mut DrivenProcess) {
    for line in ["spans 20", "logs 10", "counters 3"] {
        driven.send(line);
    }
}

/// Asserts that the receiver has got everything that `record` makes, once.
fn assert_all_arrived(collector: &Collector) {
    assert_eq!(collector.spans().len(), 20);
    assert_eq!(collector.log_records().len(), 10);
    assert_eq!(collector.metrics().len(), 3);
}

#[test]
fn receiver_is_restarted() {
    for protocol in PROTOCOLS {
        for what in ["flush 20000", "shutdown 20000"] {
            println!("{protocol} {what}");
            let address = free_address();
            let before = Collector::start_at(address);
            let mut driven = start(&before.url(), protocol, "10000");
            driven.send("spans 1");
            assert!(driven.send("flush 20000").starts_with("ok "));
            drop(before);
            record(&mut driven);
            let restarted = thread::spawn(move || {
                thread::sleep(Duration::from_millis(1500));
                Collector::start_at(address)
            });
            let answer = driven.send(what);
            assert!(answer.starts_with("ok "), "{answer}");
            let collector = restarted.join().unwrap();
            assert_all_arrived(&collector);
            let answer = driven.send("shutdown 20000");
            assert!(answer.starts_with("ok "), "{answer}");
            let log = driven.end();
            assert!(!log.iter().any(|line| line.contains("WARN")), "{log:#?}");
        }
    }
}

#[test]
fn receiver_refuses_for_a_while() {
    for protocol in PROTOCOLS {
        println!("{protocol}");
        let collector = Collector::start();
        collector.behave(Behaviour::Unavailable);
        let mut driven = start(&collector.url(), protocol, "10000");
        record(&mut driven);
        thread::scope(|scope| {
            // More attempts than the SDK's own exporter makes.
            scope.spawn(|| {
                collector.wait_for_requests(18);
                collector.behave(Behaviour::Accept);
            });
            let answer = driven.send("shutdown 20000");
            assert!(answer.starts_with("ok "), "{answer}");
        });
        assert_all_arrived(&collector);
    }
}

/// `RetryInfo` and `Retry-After` are respected.
#[test]
fn receiver_asks_for_a_pause() {
    for protocol in PROTOCOLS {
        println!("{protocol}");
        let collector = Collector::start();
        collector.behave(Behaviour::Throttle(Duration::from_secs(1)));
        let mut driven = start_spans(&collector.url(), protocol, "10000");
        driven.send("spans 5");
        thread::scope(|scope| {
            scope.spawn(|| {
                collector.wait_for_requests(1);
                collector.behave(Behaviour::Accept);
            });
            let answer = driven.send("flush 20000");
            assert!(answer.starts_with("ok "), "{answer}");
        });
        let [first, second] = collector.wait_for_requests(2)[..] else {
            panic!("there are more than two requests")
        };
        assert!(second - first >= Duration::from_secs(1), "{:?}", second - first);

        // A pause beyond the timeout is not begun, however long it is.
        for pause in [Duration::from_secs(3600), Duration::MAX] {
            collector.behave(Behaviour::Throttle(pause));
            driven.send("spans 5");
            let answer = driven.send("flush 20000");
            assert!(answer.starts_with("error ") && answer.contains("refused: "), "{answer}");
            let took: u64 = answer.split(' ').nth(1).unwrap().parse().unwrap();
            assert!(took < 5000, "{took} ms");
        }
        // No pause at all is as long as it would be without the receiver's wish.
        collector.behave(Behaviour::Throttle(Duration::ZERO));
        collector.clear();
        driven.send("spans 5");
        let answer = driven.send("flush 1500");
        assert!(answer.starts_with("error "), "{answer}");
        let count = collector.wait_for_requests(2).len();
        assert!(count < 15, "{count} requests");
    }
}

/// Over gRPC, a ping without an answer reveals the dead connection, within the timeout.
#[test]
fn connection_dies_silently_over_grpc() {
    let collector = Collector::start();
    let proxy = Proxy::start(collector.address);
    let mut driven = start_spans(&format!("http://{}", proxy.address), "grpc", "5000");
    driven.send("spans 1");
    assert!(driven.send("flush 20000").starts_with("ok "));
    proxy.silence();
    driven.send("spans 5");
    let answer = driven.send("flush 20000");
    assert!(answer.starts_with("ok "), "{answer}");
    assert_eq!(collector.spans().len(), 6);
    assert_eq!(proxy.connections(), 2);
}

/// Over HTTP/1.1 there is no ping: an empty request over a new connection reveals the dead one.
#[test]
fn connection_dies_silently_over_http() {
    let collector = Collector::start();
    let proxy = Proxy::start(collector.address);
    let mut driven = start_spans(&format!("http://{}", proxy.address), "http/protobuf", "2000");
    driven.send("spans 1");
    assert!(driven.send("flush 20000").starts_with("ok "));
    // The time without an answer does not make the receiver slow.
    for deaths in 1..=2 {
        proxy.silence();
        let before = proxy.connections();
        driven.send("spans 5");
        let answer = driven.send("flush 20000");
        assert!(answer.starts_with("ok "), "{deaths}: {answer}");
        // The pool may not have the connection of the empty request back yet.
        let made = proxy.connections() - before;
        assert!((1..=2).contains(&made), "{deaths}: {made}");
        driven.send("spans 7");
        let answer = driven.send("flush 20000");
        assert!(answer.starts_with("ok "), "{deaths}: {answer}");
        assert_eq!(collector.spans().len(), 1 + 12 * deaths);
    }
    assert!(driven.send("shutdown 20000").starts_with("ok "));
}

/// A receiver that gets slower has the request, and does not get it again, though it answers an
/// empty one at once.
#[test]
fn slow_answers_over_http_are_awaited() {
    let collector = Collector::start();
    let url = collector.url();
    let mut driven = start_spans(&url, "http/protobuf", "2000");
    for pause in [0, 500, 900] {
        collector.behave(Behaviour::Slow(Duration::from_millis(pause)));
        driven.send("spans 5");
        let answer = driven.send("flush 20000");
        assert!(answer.starts_with("ok "), "{pause}: {answer}");
    }
    assert_eq!(collector.spans().len(), 15);
    // Nor does it get an empty request, whose answer would have given the slow one up.
    assert_eq!(collector.wait_for_requests(3).len(), 3);
}

/// Without an answer over a new connection either, the old one may well be alive.
#[test]
fn frozen_receiver_over_http_is_not_confirmed() {
    let collector = Collector::start();
    let url = collector.url();
    let mut driven = start_spans(&url, "http/protobuf", "500");
    driven.send("spans 1");
    assert!(driven.send("flush 20000").starts_with("ok "));
    collector.behave(Behaviour::Hang);
    driven.send("spans 5");
    let answer = driven.send("flush 20000");
    let expected = format!("traces: 5 spans were not confirmed by {url}/v1/traces: no response within 500ms");
    assert!(answer.contains(&expected), "{answer}");
    collector.behave(Behaviour::Accept);
    driven.send("spans 7");
    assert!(driven.send("flush 20000").starts_with("ok "));
    assert_eq!(collector.spans().len(), 8);
    let answer = driven.send("shutdown 20000");
    assert!(answer.contains("[5, 0, 0]"), "{answer}");
}

/// Requests are at most as large as receivers take.
#[test]
fn batches_are_divided_by_size() {
    for protocol in PROTOCOLS {
        println!("{protocol}");
        let collector = Collector::start();
        let mut driven = start_spans(&collector.url(), protocol, "10000");
        driven.send("fat 10");
        let answer = driven.send("flush 20000");
        assert!(answer.starts_with("ok "), "{answer}");
        assert_eq!(collector.spans().len(), 10);
        let messages = collector.received();
        assert!(messages.len() >= 3, "{}", messages.len());
        // Over HTTP, the receiver takes less than 4 MiB, and says so.
        let most = if protocol == "grpc" { 3 } else { 1 };
        assert!(messages.iter().all(|message| message.spans().len() <= most));
    }
}

/// A span that no receiver takes costs no other span.
#[test]
fn too_large_span_is_lost_alone() {
    for (protocol, reason) in [
        ("grpc", "1 refused: OUT_OF_RANGE: "),
        ("http/protobuf", "1 refused: 413 Payload Too Large: "),
    ] {
        println!("{protocol}");
        let collector = Collector::start();
        let mut driven = start_spans(&collector.url(), protocol, "10000");
        driven.send("spans 30");
        driven.send("huge");
        driven.send("spans 30");
        let answer = driven.send("shutdown 20000");
        assert!(answer.contains("[1, 0, 0]") && answer.contains(reason), "{answer}");
        assert_eq!(collector.spans().len(), 60);
    }
}
