//! Outages of a receiver: what arrives, what arrives twice, and what is reported as lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use integration_tests::own_process::in_own_process_with;
use integration_tests::server::TIMEOUT;
use opentelemetry::global;
use opentelemetry::trace::{Span, Tracer};
use otel_setup::Signal;
use tokio::runtime;

use crate::daemon::Daemon;

/// A receiver of OTLP that can be killed, frozen, and started again at its addresses.
pub trait Receiver: Sized {
    /// Starts a receiver.
    #[must_use]
    fn start(program: &Path) -> Self;

    /// Starts it again.
    fn restart(&mut self);

    /// Returns the endpoint for a protocol, such as `http/protobuf`.
    #[must_use]
    fn endpoint(&self, protocol: &str) -> String;

    /// Waits until what has arrived meets a condition, and returns it.
    ///
    /// # Panics
    ///
    /// If it does not in time.
    fn wait_until(&self, is_met: impl Fn(&Arrived) -> bool) -> Arrived;

    /// Returns the place of its process.
    fn daemon(&mut self) -> &mut Option<Daemon>;

    /// Kills it, if it runs.
    fn kill(&mut self) {
        *self.daemon() = None;
    }

    /// Asks it to end, if it runs, and waits until it has.
    fn end(&mut self) {
        if let Some(daemon) = self.daemon().take() {
            daemon.end();
        }
    }

    /// Freezes it: its connections stay, and it reads nothing.
    fn freeze(&mut self) {
        self.daemon().as_ref().expect("it runs").signal("STOP");
    }

    /// Lets it go on.
    fn thaw(&mut self) {
        self.daemon().as_ref().expect("it runs").signal("CONT");
    }
}

/// The telemetry that has arrived.
#[derive(Debug, Default)]
pub struct Arrived {
    /// How often each span has arrived, by its ID.
    pub spans: BTreeMap<String, usize>,
    /// How often each log record has arrived, by its text.
    pub logs: BTreeMap<String, usize>,
    /// The highest value of the counter.
    pub made: usize,
}

impl Arrived {
    /// Counts an item.
    pub fn add(items: &mut BTreeMap<String, usize>, name: String) {
        *items.entry(name).or_default() += 1;
    }

    fn has(&self, spans: usize, logs: usize, made: usize) -> bool {
        self.spans.len() >= spans && self.logs.len() >= logs && self.made >= made
    }
}

/// An outage, with its length in seconds.
#[derive(Clone, Copy, Debug)]
pub enum Outage {
    /// The process is killed, and started again.
    Killed(u64),
    /// The process is asked to end, as an update does, and started again.
    Ended(u64),
    /// The process stops, with its connections open.
    Frozen(u64),
}

/// The fate of the telemetry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// Everything arrives once, and nothing is reported.
    Once,
    /// Batches whose timeout is over are reported. They are lost, or arrive when the receiver goes
    /// on. If the connection has been replaced, both requests can be in its buffers: then a batch
    /// arrives twice, also one that is confirmed in time and not reported. So duplicates have no
    /// bound here.
    NotConfirmed,
}

/// An outage, the timeout in milliseconds, and what becomes of the telemetry.
pub type Row = (Outage, &'static str, Expected);

/// A batch of each signal is recorded ten times a second, so that the queues never get full.
const PAUSE: Duration = Duration::from_millis(100);
const BATCH: usize = 5;
/// The time before an outage, and the time after it, in which all exporters notice its end.
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(8);
pub(super) const COUNTER: &str = "made";

/// The start of the line with a result.
const RESULT: &str = "outage ";

/// Goes through all outages over both protocols, and asserts what becomes of the telemetry.
///
/// Tests call it. All rows run at once, since they mostly wait.
pub fn go_through<R: Receiver>(program: &Path, rows: &[Row]) {
    let name = thread::current().name().unwrap().to_owned();
    thread::scope(|scope| {
        for row in rows {
            for protocol in ["grpc", "http/protobuf"] {
                // A process is started by the name of the thread, which is that of the test.
                let thread = thread::Builder::new().name(name.clone());
                let run = move || {
                    let (outage, timeout, expected) = *row;
                    let variables = [
                        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
                        // Short enough for exports during each outage.
                        ("OTEL_BSP_SCHEDULE_DELAY", "1000"),
                        ("OTEL_METRIC_EXPORT_INTERVAL", "2000"),
                        ("ROW", &*format!("{outage:?}")),
                    ];
                    let output = in_own_process_with(&variables, || {
                        go_through_one(&mut R::start(program), outage, protocol, expected);
                    });
                    let lines = output.iter().flat_map(|output| output.stdout.lines());
                    for line in lines.filter(|line| line.starts_with(RESULT)) {
                        println!("{line}");
                    }
                };
                thread.spawn_scoped(scope, run).unwrap();
            }
        }
    });
}

/// Records telemetry during an outage, and asserts what becomes of it.
fn go_through_one(receiver: &mut impl Receiver, outage: Outage, protocol: &str, expected: Expected) {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let builder = otel_setup::builder().otlp_endpoint(receiver.endpoint(protocol));
    let telemetry = runtime.block_on(async { builder.init() }).unwrap();
    let mut recorded = runtime.block_on(record(0, BEFORE));
    // A receiver that is killed loses what it has confirmed and not passed on.
    runtime.block_on(telemetry.flush(TIMEOUT)).unwrap();
    receiver.wait_until(|arrived| arrived.has(recorded, recorded, recorded));
    let (Outage::Killed(length) | Outage::Ended(length) | Outage::Frozen(length)) = outage;
    match outage {
        Outage::Killed(_) => receiver.kill(),
        Outage::Ended(_) => receiver.end(),
        Outage::Frozen(_) => receiver.freeze(),
    }
    recorded = runtime.block_on(record(recorded, Duration::from_secs(length)));
    match outage {
        Outage::Killed(_) | Outage::Ended(_) => receiver.restart(),
        Outage::Frozen(_) => receiver.thaw(),
    }
    recorded = runtime.block_on(record(recorded, AFTER));
    let reported = match runtime.block_on(telemetry.shutdown(TIMEOUT)) {
        Ok(()) => [0, 0],
        Err(error) => [Signal::Traces, Signal::Logs].map(|signal| usize::try_from(error.lost(signal)).unwrap()),
    };
    println!("{recorded} are recorded, and {reported:?} are reported");
    let [spans, logs] = reported.map(|reported| recorded - reported);
    // Metrics are cumulative, so the last export has what was recorded during the outage.
    receiver.wait_until(|arrived| arrived.has(spans, logs, recorded));
    receiver.end();
    let found = receiver.wait_until(|_| true);
    assert_eq!(found.made, recorded);
    let found = [found.spans, found.logs];
    let lost = found.each_ref().map(|found| recorded - found.len());
    let twice = found
        .each_ref()
        .map(|found| found.values().filter(|times| **times > 1).count());
    println!("{RESULT}{outage:?} {protocol}: of {recorded}, lost {lost:?}, twice {twice:?}, reported {reported:?}");
    match expected {
        Expected::Once => assert_eq!((lost, twice, reported), ([0, 0], [0, 0], [0, 0])),
        // Not more is lost than reported, for which it has waited.
        Expected::NotConfirmed => assert!(reported.iter().all(|reported| *reported > 0), "{reported:?}"),
    }
}

/// Records telemetry at a steady pace, and returns the number of all items of each signal so far.
async fn record(before: usize, length: Duration) -> usize {
    let mut recorded = before;
    let end = tokio::time::Instant::now() + length;
    let counter = global::meter("outages").u64_counter(COUNTER).build();
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
