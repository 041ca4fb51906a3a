//! Measures what the zPages take.
//!
//! * Instructions that they add to a sampled RPC at a server, and to any other span, counted by
//!   callgrind.
//! * The time and the length of a page about 10,000 open streams of 2,000 methods.
//! * Memory after 10,000,000 spans.
//! * RPCs per second of a traced server, with the pages and without, in processes that take turns.
//!
//! Each measurement is a process of its own.

mod rpc;
mod throughput;

use std::alloc::System;
use std::env;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use cap::Cap;
use opentelemetry::trace::{Span, SpanKind, Tracer};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::ManualReader;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use otel_setup::{StdoutLogs, Telemetry};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The RPCs or spans of the shorter run of callgrind. The longer one has twice as many.
const COUNTED: u64 = 20_000;
const STREAMS: usize = 10_000;
const METHODS: usize = 2_000;
const SPANS: u64 = 10_000_000;

/// A processor that does nothing, in place of that of the pages.
#[derive(Debug)]
struct Nothing;

impl SpanProcessor for Nothing {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sets this process up, with the pages, or with [`Nothing`] and a reader that nobody reads.
fn set_up(has_pages: bool) -> Telemetry {
    let setup = otel_setup::builder()
        .trace_exporters([])
        .metric_exporters([])
        .log_exporters([])
        .stdout_logs(StdoutLogs::Off);
    let setup = if has_pages {
        setup.zpages_address(([127, 0, 0, 1], 0).into())
    } else {
        setup
            .configure_tracer_provider(|provider| provider.with_span_processor(Nothing))
            .configure_meter_provider(|provider| provider.with_reader(ManualReader::default()))
    };
    setup.init().expect("telemetry can be set up")
}

/// Starts a span with as many attributes as that of an RPC.
fn start(tracer: &impl Tracer, name: &'static str) -> impl Span {
    let mut attributes = Vec::with_capacity(8);
    attributes.push(KeyValue::new("rpc.system.name", "grpc"));
    attributes.push(KeyValue::new("rpc.method", name));
    attributes.push(KeyValue::new("server.address", "bench.example"));
    attributes.push(KeyValue::new("server.port", 50051));
    let builder = tracer.span_builder(name).with_kind(SpanKind::Server);
    builder.with_attributes(attributes).start(tracer)
}

fn end(span: &mut impl Span) {
    span.set_attribute(KeyValue::new("rpc.status_code", "OK"));
    span.end();
}

fn spans(count: u64) {
    let tracer = global::tracer("otel-runtime");
    for _ in 0..count {
        end(&mut start(&tracer, "bench.Bench/Unary"));
    }
}

/// Returns the head and the body of a page.
fn get(address: SocketAddr, path: &str) -> (String, Vec<u8>) {
    let mut connection = TcpStream::connect(address).expect("the pages are served");
    write!(connection, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("a request can be sent");
    let mut response = Vec::new();
    connection.read_to_end(&mut response).expect("a response comes");
    let end = response
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("it has a head");
    let body = response.split_off(end + 4);
    (String::from_utf8_lossy(&response).into_owned(), body)
}

/// Prints the time and the length of each page.
fn page() {
    let before = ALLOCATOR.allocated();
    let telemetry = set_up(true);
    let tracer = global::tracer("otel-runtime");
    let names: Vec<&'static str> = (0..METHODS)
        .map(|number| &*format!("shop.v1.Service{}/Method{number}", number % 100).leak())
        .collect();
    let streams: Vec<_> = (0..STREAMS)
        .map(|number| start(&tracer, names[number % METHODS]))
        .collect();
    for name in &names {
        end(&mut start(&tracer, name));
    }
    println!(
        "{} bytes in use with {} streams",
        ALLOCATOR.allocated() - before,
        streams.len()
    );
    let address = telemetry.zpages_address().expect("they are served");
    for path in [
        "/debug/tracez",
        "/debug/tracez?row=1&show=running",
        "/debug/tracez.json",
    ] {
        let mut times = Vec::new();
        let mut length = 0;
        for _ in 0..20 {
            let begun = Instant::now();
            let (head, body) = get(address, path);
            times.push(begun.elapsed());
            assert!(head.contains(" 200 "), "{head}");
            length = body.len();
        }
        times.sort();
        println!(
            "{path}: {:.1?} (median), {:.1?} (maximum), {length} bytes",
            times[10], times[19]
        );
    }
}

/// Prints the memory after many spans.
fn memory(has_pages: bool) {
    let _telemetry = set_up(has_pages);
    spans(1000);
    let before = ALLOCATOR.allocated();
    let begun = Instant::now();
    spans(SPANS);
    let time = begun.elapsed().as_secs_f64();
    let grown = ALLOCATOR.allocated().saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "a time per span")]
    let each = time * 1e9 / SPANS as f64;
    println!("pages {has_pages}: {grown} bytes more after {SPANS} spans of {each:.0} ns");
}

/// Runs this program with other arguments, under callgrind if `counts`.
fn again(arguments: &[&str], counts: bool) -> String {
    let program = env::current_exe().expect("it has a path");
    let mut command = if counts {
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(program);
        // The allocator of glibc takes hundreds of instructions more or less, depending on what
        // its bins happen to hold. With larger caches, it rarely looks there.
        command.env(
            "GLIBC_TUNABLES",
            "glibc.malloc.tcache_count=127:glibc.malloc.tcache_max=65536",
        );
        command
    } else {
        Command::new(program)
    };
    let output = command.args(arguments).output().expect("valgrind is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = if counts { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&printed).into_owned()
}

fn instructions(what: &str, mode: &str, count: u64) -> f64 {
    let printed = again(&[what, mode, &count.to_string()], true);
    let collected = printed.lines().find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.expect("callgrind prints a number");
    number.trim().parse().expect("it is a number")
}

fn report() {
    for what in ["rpcs", "layered-rpcs", "spans"] {
        #[expect(clippy::cast_precision_loss, reason = "a quotient")]
        let each = |mode| (instructions(what, mode, 2 * COUNTED) - instructions(what, mode, COUNTED)) / COUNTED as f64;
        let (with, without) = (each("on"), each("off"));
        println!(
            "{what}: {with:.0} instructions each with the pages, {without:.0} without: {:.0} more",
            with - without
        );
    }
    print!("{}", again(&["page"], false));
    for mode in ["on", "off"] {
        print!("{}", again(&["memory", mode], false));
    }
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        for (rates, mode) in rates.iter_mut().zip(["on", "off"]) {
            rates.push(
                again(&["throughput", mode], false)
                    .trim()
                    .parse()
                    .expect("it is a number"),
            );
        }
    }
    let [with, without] = rates.map(|mut rates: Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!(
        "{with:.0} RPCs per second with the pages, {without:.0} without: {:.3}",
        with / without
    );
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [what @ ("spans" | "rpcs" | "layered-rpcs"), mode, count] => {
            let _telemetry = set_up(mode == "on");
            let count = count.parse().expect("it is a number");
            match what {
                "spans" => spans(count),
                _ => rpc::serve(count, what == "layered-rpcs"),
            }
        }
        ["page"] => page(),
        ["memory", mode] => memory(mode == "on"),
        ["throughput", mode] => println!("{}", throughput::measure(mode == "on")),
        _ => report(),
    }
}
