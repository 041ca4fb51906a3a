//! Measures how early a server sees a deadline that its caller misses, and how many callers that
//! cancel before their deadline look as if they had missed it.
//!
//! Run it with `cargo bench -p integration-tests --bench deadlines`. It takes ten minutes. Timings
//! are no test criterion: `docs/decisions.md` has the numbers that the runtime's tolerance is from.

use std::time::{Duration, Instant};

use integration_tests::client::{Kind, call, endpoint, open};
use integration_tests::counted::number_from_env;
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::attributes;
use opentelemetry::global;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use otel_runtime::ServerLayer;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::transport::{Channel, Server};

/// Number of callers, each with a connection.
const CALLERS: u64 = 8;

/// Timeouts of missed deadlines, in milliseconds.
const MISSED: [u64; 7] = [3, 5, 10, 20, 50, 150, 400];

/// Timeouts of the calls that are cancelled at a random moment before, in milliseconds.
const CANCELLED: [u64; 3] = [20, 150, 400];

#[derive(Clone, Copy, Debug)]
enum SetUp {
    Layer,
    Attribute,
}

impl SetUp {
    async fn serve(self) -> RunningServer {
        let service = ScriptedService::default();
        match self {
            SetUp::Layer => serve_with(Server::builder().layer(ServerLayer::new()), Plain::routes(&service)).await,
            SetUp::Attribute => serve(Annotated::routes(&service)).await,
        }
    }
}

/// The moment when a caller leaves.
#[derive(Clone, Copy, Debug)]
enum Leave {
    /// At its deadline, while it waits for the response. The server watches over it, too.
    BeforeHeaders,
    /// At its deadline, while it reads a response stream. Only the caller watches over it.
    BehindHeaders,
    /// At a random moment before its deadline.
    Randomly,
}

fn main() {
    let spans = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    global::set_tracer_provider(tracers);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure_all(&spans));
}

async fn measure_all(spans: &InMemorySpanExporter) {
    let missed = number_from_env("MISSED", 1000);
    let cancelled = number_from_env("CANCELLED", 2000);
    println!("set-up, nodelay, leave, timeout, calls, DEADLINE_EXCEEDED;");
    println!("early by, in µs: 50 %, 99 %, 99.9 %, most; calls that ended at most so many µs early");
    for set_up in [SetUp::Layer, SetUp::Attribute] {
        for nodelay in [true, false] {
            for leave in [Leave::BeforeHeaders, Leave::BehindHeaders] {
                for timeout in MISSED {
                    measure(spans, set_up, nodelay, leave, timeout, missed).await;
                }
            }
            for timeout in CANCELLED {
                measure(spans, set_up, nodelay, Leave::Randomly, timeout, cancelled).await;
            }
        }
    }
}

/// Makes calls with one timeout, and prints how the server recorded them.
async fn measure(spans: &InMemorySpanExporter, set_up: SetUp, nodelay: bool, leave: Leave, timeout: u64, calls: u64) {
    let server = set_up.serve().await;
    let timeout = Duration::from_millis(timeout);
    // The first call of a method is slower than the others.
    let _ = call(server.channel().await, Kind::Unary, Request::new("")).await;
    let _ = call(server.channel().await, Kind::ServerStream, Request::new("")).await;
    spans.reset();
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let channel = endpoint(server.address).tcp_nodelay(nodelay).connect().await.unwrap();
        callers.spawn(async move {
            let mut random = fastrand::Rng::with_seed(number);
            for _ in 0..calls.div_ceil(CALLERS) {
                make(channel.clone(), leave, timeout, &mut random).await;
            }
        });
    }
    callers.join_all().await;
    // Whatever the server still has to notice.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let spans = spans.get_finished_spans().unwrap();
    let mut early = Vec::new();
    let mut exceeded = 0;
    for span in &spans {
        let length = span.end_time.duration_since(span.start_time).unwrap_or_default();
        early.push(timeout.as_micros().cast_signed() - length.as_micros().cast_signed());
        exceeded += usize::from(attributes(&span.attributes)["rpc.status_code"] == "DEADLINE_EXCEEDED");
    }
    early.sort_unstable();
    let permille = |part: usize| early.get((early.len() * part / 1000).min(early.len().saturating_sub(1)));
    let permilles = [500, 990, 999, 1000].map(|part| permille(part).copied().unwrap_or_default());
    let within = [0, 200, 400, 1000, 2000, 5000].map(|slack| (slack, early.partition_point(|early| *early <= slack)));
    println!(
        "{:10} {nodelay:7} {:14} {:7} {:8} {exceeded:18}   {permilles:?}; {within:?}",
        format!("{set_up:?}"),
        format!("{leave:?}"),
        format!("{timeout:?}"),
        spans.len(),
    );
}

async fn make(channel: Channel, leave: Leave, timeout: Duration, random: &mut fastrand::Rng) {
    let mut request = Request::new("wait");
    request.set_timeout(timeout);
    let called = Instant::now();
    match leave {
        Leave::BeforeHeaders => drop(call(channel, Kind::Unary, request).await),
        Leave::BehindHeaders => {
            *request.get_mut() = "later wait";
            let read = async {
                let mut replies = open(channel, Kind::ServerStream, request).await?;
                while replies.message().await?.is_some() {}
                Ok::<_, tonic::Status>(())
            };
            let _ = tokio::time::timeout_at((called + timeout).into(), read).await;
        }
        Leave::Randomly => {
            let at = called + timeout.mul_f64(random.f64());
            tokio::select! {
                _ = call(channel, Kind::Unary, request) => {}
                () = wait_until(at) => {}
            }
        }
    }
}

/// Waits more exactly than tokio's timers, which count milliseconds.
async fn wait_until(moment: Instant) {
    let exact = moment.checked_sub(Duration::from_millis(2)).unwrap_or(moment);
    tokio::time::sleep_until(exact.into()).await;
    while Instant::now() < moment {
        tokio::task::yield_now().await;
    }
}
