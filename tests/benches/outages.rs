//! Measures what an outage of an OTLP receiver costs.
//!
//! Run it with `cargo bench -p integration-tests --bench outages`. It takes six minutes.
//! An argument after `--` selects the rows whose names contain it.
//!
//! A process with default settings records 5,000 spans, log records and measurements at a steady
//! pace, over gRPC or HTTP, while the receiver goes away and comes back. The table shows how many
//! did not arrive, how many arrived twice, and how many the shutdown reports as lost.

use std::collections::HashMap;
use std::hash::Hash;
use std::thread;
use std::time::Duration;

use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Behaviour, Collector, Received};
use integration_tests::free_address::free_address;
use integration_tests::proxy::Proxy;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");
const ROUNDS: u32 = 250;
const ITEMS: usize = 20;

/// The outages: names in the table, timeouts in milliseconds, and lengths of the queues.
const OUTAGES: [(&str, Outage, &str, &str); 8] = [
    ("away for 1 s", Outage::Away(1), "10000", "2048"),
    ("away for 3 s", Outage::Away(3), "10000", "2048"),
    ("away for 7 s", Outage::Away(7), "10000", "2048"),
    (
        "refuses for 6 s, as for want of memory",
        Outage::Refuses(6),
        "10000",
        "2048",
    ),
    ("connections die silently", Outage::Silent, "10000", "2048"),
    ("frozen for 25 s", Outage::Frozen(25), "10000", "2048"),
    (
        "frozen for 25 s, with a timeout of 60 s",
        Outage::Frozen(25),
        "60000",
        "2048",
    ),
    (
        "frozen for 25 s, with a timeout of 60 s and queues of 8,192",
        Outage::Frozen(25),
        "60000",
        "8192",
    ),
];

/// An outage, with its length in seconds.
#[derive(Clone, Copy)]
enum Outage {
    Away(u64),
    Refuses(u64),
    Silent,
    Frozen(u64),
}

impl Outage {
    /// Returns the time over which telemetry is recorded.
    fn recording(self) -> Duration {
        match self {
            Outage::Away(seconds) | Outage::Refuses(seconds) | Outage::Frozen(seconds) => {
                Duration::from_secs(18 + seconds)
            }
            Outage::Silent => Duration::from_secs(25),
        }
    }
}

fn main() {
    println!("| receiver | protocol | lost | twice | reported |\n|---|---|---|---|---|");
    // Cargo adds options of its own.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let wanted = wanted.unwrap_or_default();
    for (name, outage, timeout, queue) in OUTAGES.into_iter().filter(|(name, ..)| name.contains(&wanted)) {
        let protocols = ["grpc", "http/protobuf"];
        let runs = protocols.map(|protocol| thread::spawn(move || run(outage, protocol, timeout, queue)));
        for (protocol, run) in protocols.iter().zip(runs) {
            let [lost, twice, reported] = run.join().unwrap();
            println!("| {name} | `{protocol}` | {lost} | {twice} | {reported} |");
        }
    }
}

/// Returns the cells of the table: spans, log records and measurements each.
fn run(outage: Outage, protocol: &str, timeout: &str, queue: &str) -> [String; 3] {
    let collector = Collector::start_at(free_address());
    let proxy = Proxy::start(collector.address);
    let url = match outage {
        Outage::Away(_) | Outage::Refuses(_) => collector.url(),
        Outage::Silent | Outage::Frozen(_) => format!("http://{}", proxy.address),
    };
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
        ("OTEL_BSP_MAX_QUEUE_SIZE", queue),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", queue),
        // Several exports during an outage.
        ("OTEL_METRIC_EXPORT_INTERVAL", "2000"),
        ("RUST_LOG", "off,driven=info"),
    ];
    let (mut driven, _) = DrivenProcess::start(DRIVEN, &["multi_thread"], variables);
    let outages = thread::spawn(move || go_through(outage, collector, &proxy));
    let pause = outage.recording() / ROUNDS;
    for _ in 0..ROUNDS {
        for what in ["spans", "logs", "counters"] {
            driven.send(&format!("{what} {ITEMS}"));
        }
        thread::sleep(pause);
    }
    let answer = driven.send("shutdown 10000");
    let reported = match answer.split_once('[') {
        Some((_, rest)) => {
            let numbers = rest.split(']').next().unwrap_or_default();
            let numbers: Vec<&str> = numbers.split(", ").collect();
            // In the order of the other columns.
            [numbers[0], numbers[2], numbers[1]].join(" / ")
        }
        None => "0 / 0 / 0".to_owned(),
    };
    drop(driven.end());
    let [lost, twice] = missing(&outages.join().unwrap());
    [lost, twice, reported]
}

/// Makes the receiver go away and come back. Returns its messages when all exports are done.
fn go_through(outage: Outage, mut collector: Collector, proxy: &Proxy) -> Vec<Received> {
    thread::sleep(Duration::from_secs(3));
    let mut received = Vec::new();
    match outage {
        Outage::Away(seconds) => {
            let address = collector.address;
            received = collector.end();
            thread::sleep(Duration::from_secs(seconds));
            collector = Collector::start_at(address);
        }
        Outage::Refuses(seconds) => {
            collector.behave(Behaviour::Unavailable);
            thread::sleep(Duration::from_secs(seconds));
            collector.behave(Behaviour::Accept);
        }
        Outage::Silent => proxy.silence(),
        Outage::Frozen(seconds) => {
            proxy.freeze(true);
            thread::sleep(Duration::from_secs(seconds));
            proxy.freeze(false);
        }
    }
    // The rest of the recording, and the shutdown.
    thread::sleep(outage.recording() + Duration::from_secs(8));
    received.extend(collector.received());
    received
}

/// Returns the numbers of items that have not arrived, and of those that have arrived twice.
fn missing(received: &[Received]) -> [String; 2] {
    let spans = received.iter().flat_map(Received::spans);
    let spans = count(spans.map(|span| span.span_id));
    let logs = received.iter().flat_map(Received::log_records);
    let logs = count(logs.map(|record| record.observed_time_unix_nano));
    let metrics: Vec<_> = received.iter().flat_map(Received::metrics).collect();
    let points = metrics.iter().flat_map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.iter().map(|point| (&metric.name, point)).collect(),
        _ => Vec::new(),
    });
    let points: Vec<_> = points.collect();
    let measurements = points
        .iter()
        .fold(HashMap::new(), |mut sums: HashMap<_, i64>, (name, point)| {
            let Some(Value::AsInt(value)) = point.value else {
                return sums;
            };
            let sum = sums.entry(name.as_str()).or_default();
            *sum = value.max(*sum);
            sums
        });
    let recorded = ROUNDS as usize * ITEMS;
    let measured = usize::try_from(measurements.values().sum::<i64>()).unwrap_or_default();
    let points = count(points.iter().map(|(name, point)| (name.as_str(), point.time_unix_nano)));
    let lost = [spans.0, logs.0, measured].map(|arrived| recorded.saturating_sub(arrived).to_string());
    let twice = [spans.1, logs.1, points.1].map(|twice| twice.to_string());
    [lost.join(" / "), twice.join(" / ")]
}

/// Returns the number of different keys, and of repetitions.
fn count<K: Hash + Eq>(keys: impl Iterator<Item = K>) -> (usize, usize) {
    let mut counts: HashMap<K, usize> = HashMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    (counts.len(), counts.values().map(|count| count - 1).sum())
}
