//! Measures how a slow or broken OTLP receiver affects RPCs.
//!
//! Run it with `cargo bench -p integration-tests --bench receivers`.
//!
//! A service calls itself 10,000 times over a socket, and exports all three signals to a receiver
//! that answers, fails, hangs, is slow, or does not exist. The cases are interleaved in rounds, so
//! that other load on the machine affects all of them. The table shows the medians of the rounds.

use std::time::Duration;

use integration_tests::child::run;
use integration_tests::collector::{Behaviour, Collector};
use integration_tests::free_address::free_address;

const CALLS: &str = "10000";
const ROUNDS: usize = 7;

/// The results of one case in one round.
struct Run {
    replies: u64,
    p50: u64,
    p99: u64,
    peak: u64,
    /// The number of log lines that are warnings or errors.
    told: usize,
}

fn main() {
    let receivers = [
        ("up", Some(Behaviour::Accept)),
        ("not there", None),
        ("hangs", Some(Behaviour::Hang)),
        ("takes 1 s", Some(Behaviour::Slow(Duration::from_secs(1)))),
        ("unavailable", Some(Behaviour::Unavailable)),
    ];
    let mut runs: Vec<Vec<Run>> = receivers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((_, behaviour), runs) in receivers.iter().zip(&mut runs) {
            runs.push(round(behaviour.clone()));
        }
    }
    println!("receiver       replies   p50 µs   p99 µs   p99 / up   peak MiB   told");
    let up = median(&runs[0], |run| run.p99);
    for ((name, _), runs) in receivers.iter().zip(&runs) {
        let (p50, p99) = (median(runs, |run| run.p50), median(runs, |run| run.p99));
        let replies = runs.iter().map(|run| run.replies).min().unwrap_or_default();
        let peak = runs.iter().map(|run| run.peak).max().unwrap_or_default();
        let told = runs.iter().map(|run| run.told).max().unwrap_or_default();
        println!(
            "{name:12}   {replies:7}   {p50:6}   {p99:6}   {:8.2}   {:8.1}   {told:4}",
            ratio(p99, up),
            ratio(peak, 1024),
        );
    }
}

fn round(behaviour: Option<Behaviour>) -> Run {
    let collector = behaviour.map(|behaviour| {
        let collector = Collector::start();
        collector.behave(behaviour);
        collector
    });
    let url = match &collector {
        Some(collector) => collector.url(),
        None => format!("http://{}", free_address()),
    };
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        // Short intervals, so that each signal is exported several times.
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "200"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        // The log is exported, too, instead of being written to a pipe.
        ("RUST_LOG", "info"),
    ];
    let ended = run(env!("CARGO_BIN_EXE_service"), &[CALLS, "times"], variables);
    let line = ended.stdout.lines().find_map(|line| line.strip_prefix("> "));
    let line = line.unwrap_or_else(|| panic!("{}", ended.stderr));
    let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    let [replies, p50, p99, peak] = numbers[..] else {
        panic!("{line}")
    };
    let is_told = |line: &&str| line.contains(" WARN ") || line.contains("ERROR ");
    Run {
        replies,
        p50,
        p99,
        peak,
        told: ended.stdout.lines().filter(is_told).count(),
    }
}

fn median(runs: &[Run], of: impl Fn(&Run) -> u64) -> u64 {
    let mut values: Vec<u64> = runs.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

#[allow(clippy::cast_precision_loss)]
fn ratio(number: u64, of: u64) -> f64 {
    number as f64 / of.max(1) as f64
}
