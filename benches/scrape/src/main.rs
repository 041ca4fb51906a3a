//! Times scrapes of 2,000 series: otel-setup's endpoint, and opentelemetry-prometheus behind axum.
//!
//! Half of the series are counters, half are histograms with the boundaries of call durations, so a
//! text has some 18,000 lines. Both endpoints are in this process, read the same measurements, and
//! take turns. Memory is the most that is allocated during a scrape, beyond what was before.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use cap::Cap;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use otel_setup::{Exporter, StdoutLogs};
use prometheus::{Registry, TextEncoder};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const ROUNDS: usize = 100;
const BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

fn record(meter: &Meter) {
    let counter = meter.u64_counter("jobs").with_description("Jobs that ended.").build();
    let histogram = meter
        .f64_histogram("rpc.server.call.duration")
        .with_unit("s")
        .with_description("Measures the duration of an incoming Remote Procedure Call (RPC).")
        .with_boundaries(BOUNDARIES.to_vec())
        .build();
    for series in 0..1000 {
        let attributes = [
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", format!("shop.v1.Service{}/Method{series}", series % 10)),
            KeyValue::new("rpc.status_code", "OK"),
        ];
        counter.add(series, &attributes);
        for value in [0.001, 0.02, 0.3, 4.0] {
            histogram.record(value, &attributes);
        }
    }
}

/// Serves opentelemetry-prometheus, as otel-setup did before it had an endpoint of its own.
fn serve_other() -> (SocketAddr, SdkMeterProvider) {
    let registry = Registry::new();
    let reader = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .build()
        .unwrap();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let text = move || async move { TextEncoder::new().encode_to_string(&registry.gather()).unwrap() };
            let app = Router::new().route("/metrics", get(text));
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    (address, provider)
}

/// Returns the length of the response.
fn scrape(address: SocketAddr, headers: &str) -> usize {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET /metrics HTTP/1.0\r\nHost: a\r\n{headers}\r\n").unwrap();
    let mut buffer = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        match connection.read(&mut buffer).unwrap() {
            0 => return length,
            read => length += read,
        }
    }
}

fn main() {
    let telemetry = otel_setup::builder()
        .trace_exporters([])
        .metric_exporters([Exporter::Prometheus])
        .log_exporters([])
        .stdout_logs(StdoutLogs::Off)
        .prometheus_address("127.0.0.1:0".parse().unwrap())
        .init()
        .unwrap();
    let ours = telemetry.prometheus_address().unwrap();
    record(&global::meter("scrape"));
    let (other, provider) = serve_other();
    record(&provider.meter("scrape"));

    let open_metrics = "Accept: application/openmetrics-text;version=1.0.0\r\n";
    let rows = [
        ("opentelemetry-prometheus", other, String::new()),
        ("otel-setup, text 0.0.4", ours, String::new()),
        (
            "otel-setup, text 0.0.4, gzip",
            ours,
            "Accept-Encoding: gzip\r\n".to_owned(),
        ),
        ("otel-setup, OpenMetrics", ours, open_metrics.to_owned()),
        (
            "otel-setup, OpenMetrics, gzip",
            ours,
            format!("{open_metrics}Accept-Encoding: gzip\r\n"),
        ),
    ];
    if let Some(row) = std::env::args().nth(1).and_then(|row| row.parse::<usize>().ok()) {
        let (_, address, headers) = &rows[row];
        let before = ALLOCATOR.allocated();
        let is_done = AtomicBool::new(false);
        // The allocator's own maximum includes the setup.
        let most = thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let mut most = before;
                while !is_done.load(Ordering::Relaxed) {
                    most = most.max(ALLOCATOR.allocated());
                }
                most
            });
            for _ in 0..20 {
                scrape(*address, headers);
            }
            is_done.store(true, Ordering::Relaxed);
            watch.join().unwrap()
        });
        println!("{}", most - before);
        return;
    }
    let mut times = vec![Vec::new(); rows.len()];
    let mut lengths = vec![0; rows.len()];
    for _ in 0..ROUNDS {
        for (row, (_, address, headers)) in rows.iter().enumerate() {
            let begun = Instant::now();
            lengths[row] = scrape(*address, headers);
            times[row].push(begun.elapsed());
        }
    }
    println!("| | time | memory | bytes sent |");
    println!("|---|--:|--:|--:|");
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    let peaks: Vec<f64> = (0..rows.len()).map(peak).collect();
    for (row, (name, _, _)) in rows.iter().enumerate() {
        let (time, memory) = (medians[row], peaks[row]);
        let (times, memories) = (time / medians[0], memory / peaks[0]);
        let kib = memory / 1024.0;
        println!(
            "| {name} | {time:.2} ms ({times:.2}) | {kib:.0} KiB ({memories:.2}) | {} |",
            lengths[row]
        );
    }
}

/// Returns the median in milliseconds.
fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Returns the most bytes that scrapes of a row allocate at a time, in a process of its own.
fn peak(row: usize) -> f64 {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).arg(row.to_string()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
