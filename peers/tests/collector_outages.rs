//! Outages of a real Collector: what arrives, what arrives twice, and what is reported as lost.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use integration_tests::own_process::in_own_process_with;
use integration_tests::server::TIMEOUT;
use opentelemetry::global;
use opentelemetry::trace::{Span, Tracer};
use otel_setup::Signal;
use peers::backends::{Collector, install_collector, logs, metrics, spans};
use serde_json::Value;

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");

/// An outage of the Collector, with its length in seconds.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// The process is killed, and started again.
    Away(u64),
    /// The process stops, with its connections open.
    Frozen(u64),
}

/// The fate of the telemetry.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// Everything arrives once, and nothing is reported.
    Once,
    /// Batches whose timeout is over are reported. They are lost, or arrive when the Collector goes
    /// on. If the connection has been replaced, both requests can be in its buffers: then a batch
    /// arrives twice, also one that is confirmed in time and not reported. So duplicates have no
    /// bound here.
    NotConfirmed,
}

/// The outages, the timeouts in milliseconds, and what becomes of the telemetry.
const OUTAGES: [(Outage, &str, Expected); 5] = [
    (Outage::Away(1), "10000", Expected::Once),
    (Outage::Away(3), "10000", Expected::Once),
    (Outage::Away(7), "10000", Expected::Once),
    (Outage::Frozen(25), "10000", Expected::NotConfirmed),
    (Outage::Frozen(25), "60000", Expected::Once),
];

/// A batch of each signal is recorded ten times a second, so that the queues never get full.
const PAUSE: Duration = Duration::from_millis(100);
const BATCH: usize = 5;
/// The time before an outage, and the time after it, in which all exporters notice its end.
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(8);

#[test]
fn outages_of_a_collector() {
    let program = install_collector(DIRECTORY);
    let name = thread::current().name().unwrap().to_owned();
    thread::scope(|scope| {
        for row in OUTAGES {
            for protocol in ["grpc", "http/protobuf"] {
                let program = &program;
                // All rows run at once, since they mostly wait. A process is started by the name of
                // the thread, which is that of the test.
                let thread = thread::Builder::new().name(name.clone());
                let run = move || {
                    let (outage, timeout, expected) = row;
                    let variables = [
                        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
                        ("OTEL_METRIC_EXPORT_INTERVAL", "2000"),
                        ("ROW", &*format!("{outage:?}")),
                    ];
                    in_own_process_with(&variables, || {
                        let mut collector = Collector::start(program);
                        go_through(&mut collector, outage, protocol, expected);
                    });
                };
                thread.spawn_scoped(scope, run).unwrap();
            }
        }
    });
}

/// Records telemetry during an outage, and asserts what becomes of it.
fn go_through(collector: &mut Collector, outage: Outage, protocol: &str, expected: Expected) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (recorded, reported) = runtime.block_on(async {
        let builder = otel_setup::builder().otlp_endpoint(collector.endpoint(protocol));
        let telemetry = builder.init().unwrap();
        let mut recorded = record(0, BEFORE).await;
        let length = match outage {
            Outage::Away(seconds) => {
                collector.kill();
                Duration::from_secs(seconds)
            }
            Outage::Frozen(seconds) => {
                collector.freeze();
                Duration::from_secs(seconds)
            }
        };
        recorded = record(recorded, length).await;
        match outage {
            Outage::Away(_) => collector.restart(),
            Outage::Frozen(_) => collector.thaw(),
        }
        recorded = record(recorded, AFTER).await;
        let reported = match telemetry.shutdown(TIMEOUT).await {
            Ok(()) => [0, 0],
            Err(error) => [error.lost(Signal::Traces), error.lost(Signal::Logs)],
        };
        (recorded, reported)
    });
    let bodies = |items: &[Value], name: &str| {
        let mut bodies: BTreeMap<String, usize> = BTreeMap::new();
        for item in items {
            *bodies.entry(item[name].to_string()).or_default() += 1;
        }
        bodies
    };
    let found = [
        bodies(&collector.ended("traces", spans), "spanId"),
        bodies(&collector.ended("logs", logs), "body"),
    ];
    let lost = found.each_ref().map(|found| (recorded - found.len()) as u64);
    let twice = found
        .each_ref()
        .map(|found| found.values().filter(|times| **times > 1).count() as u64);
    println!("{outage:?} {protocol}: of {recorded}, lost {lost:?}, twice {twice:?}, reported {reported:?}");
    match expected {
        Expected::Once => assert_eq!((lost, twice, reported), ([0, 0], [0, 0], [0, 0])),
        Expected::NotConfirmed => {
            for (lost, reported) in lost.into_iter().zip(reported) {
                assert!(reported > 0 && lost <= reported, "lost {lost}, reported {reported}");
            }
        }
    }
    // Metrics are cumulative, so the last export has what was recorded during the outage.
    let counters = collector.ended("metrics", metrics);
    let values = counters.iter().filter(|metric| metric["name"] == "made");
    let values = values.map(|metric| {
        metric["sum"]["dataPoints"][0]["asInt"]
            .as_str()
            .unwrap()
            .parse::<usize>()
    });
    assert_eq!(values.map(Result::unwrap).max(), Some(recorded));
}

/// Records telemetry at a steady pace, and returns the number of all items of each signal so far.
async fn record(before: usize, length: Duration) -> usize {
    let mut recorded = before;
    let end = tokio::time::Instant::now() + length;
    let counter = global::meter("outages").u64_counter("made").build();
    let mut pace = tokio::time::interval(PAUSE);
    while tokio::time::Instant::now() < end {
        pace.tick().await;
        for _ in 0..BATCH {
            recorded += 1;
            global::tracer("outages").start("made").end();
            tracing::info!("made {recorded}");
            counter.add(1, &[]);
        }
    }
    recorded
}
