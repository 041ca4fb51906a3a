//! Concurrent RPCs on four threads: `rush ROUNDS`.
//!
//! Each kind of RPC ends in every way, through the attribute and both layers, while the metrics are
//! collected. The program prints nothing: valgrind (`peers/tests/leaks.rs`) and the thread
//! sanitizer (`cargo xtask sanitize`) watch it.

use std::time::Duration;

use integration_tests::client::{Kind, call, connect};
use integration_tests::rpc;
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::serve_with;
use opentelemetry::global;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use otel_runtime::{ServerLayer, propagation};
use tokio::task::JoinSet;
use tonic::Request;
use tonic::transport::Server;

const AT_ONCE: usize = 4;

/// The ends of RPCs. The last three need a response stream.
const ENDS: [&str; 7] = ["0", "5", "13", "panic", "later 13", "later panic", "torn"];

/// An exporter that drops all spans.
#[derive(Debug)]
struct DropAll;

impl SpanExporter for DropAll {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// The meter provider, and the exporter that it collects for.
#[derive(Clone)]
struct Metrics {
    meters: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

impl Metrics {
    fn install() -> Self {
        let exporter = InMemoryMetricExporter::default();
        // Collects on `force_flush` alone, not by the clock.
        let reader = PeriodicReader::builder(exporter.clone())
            .with_interval(Duration::from_secs(24 * 60 * 60))
            .build();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        global::set_meter_provider(meters.clone());
        Metrics { meters, exporter }
    }

    fn collect(&self) {
        self.meters.force_flush().unwrap();
        self.exporter.reset();
    }
}

/// Calls a server of its own, so that a caller that gives up knows that its own RPC has arrived.
async fn rush(worker: usize, rounds: usize, metrics: Metrics) {
    let handler = ScriptedService::default();
    let layer = ServerLayer::new().message_sizes();
    let server = serve_with(Server::builder().layer(layer), Annotated::routes(&handler)).await;
    let channel = connect(&server).await;
    let unrecorded = server.channel().await;
    for round in 0..rounds {
        for kind in Kind::ALL {
            for end in ENDS {
                let _ = call(channel.clone(), kind, Request::new(end)).await;
                // An unknown method, with a path that no other call has.
                let unknown = format!("unknown.Service/{worker}{round}{kind:?}{end}").replace(' ', "");
                rpc::call_to_end(unrecorded.clone(), &unknown, rpc::request("")).await;
            }
            // The caller cancels.
            tokio::select! {
                _ = call(channel.clone(), kind, Request::new("wait")) => unreachable!("nobody releases it"),
                () = handler.waits() => {}
            }
            let mut request = Request::new("wait");
            request.set_timeout(Duration::from_millis(1));
            let _ = call(channel.clone(), kind, request).await;
            // The RPC may have reached its handler or not.
            let _ = tokio::time::timeout(Duration::ZERO, handler.waits()).await;
        }
        metrics.collect();
    }
}

fn main() {
    let rounds = std::env::args().nth(1).expect("how many rounds");
    let rounds = rounds.parse().expect("a number");
    // Expected panics would hide an unexpected one.
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload().downcast_ref() != Some(&"as asked") {
            eprintln!("{panic}");
        }
    }));
    let tracers = SdkTracerProvider::builder().with_simple_exporter(DropAll).build();
    global::set_tracer_provider(tracers);
    propagation::set_global(propagation::TraceContextPropagator::new());
    let metrics = Metrics::install();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(AT_ONCE)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut workers = JoinSet::new();
        for worker in 0..AT_ONCE {
            workers.spawn(rush(worker, rounds, metrics.clone()));
        }
        while let Some(worker) = workers.join_next().await {
            worker.unwrap();
        }
    });
    // All remaining work ends with its tasks. The meter provider is never shut down: its thread
    // would be at an arbitrary point of its end when the program exits, and valgrind would count
    // its memory.
    drop(runtime);
}
