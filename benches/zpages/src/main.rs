//! Measures what the zPages take.
//!
//! * Instructions and allocations that they add to a sampled RPC at a server, and to any other
//!   span. Those of the allocator, which depend on the layout of the heap, are not counted. The
//!   floor is what the least of pages would add.
//! * The time and the length of a page about 10,000 open streams of 2,000 methods.
//! * Memory after 10,000,000 spans.
//! * RPCs per second of a traced server, with the pages and without, in processes that take turns.
//!
//! Each measurement is a process of its own.

mod floor;
mod rpc;
mod throughput;

use std::env;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use counting::{allocations, callgrind};
use opentelemetry::trace::{Span, SpanKind, Tracer};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::ManualReader;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use otel_setup::{Builder, StdoutLogs, Telemetry};

use crate::floor::FloorSpans;

/// RPCs or spans before the counted ones, which make what is made once.
const WARM_UP: u64 = 1000;
/// RPCs or spans whose instructions and allocations are counted.
const COUNTED: u64 = 1000;
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

/// The pages of a process.
#[derive(Clone, Copy, PartialEq)]
enum Pages {
    On,
    /// [`Nothing`] in their place, and a reader that nobody reads.
    Off,
    /// The least of pages.
    Floor,
}

impl Pages {
    const ALL: [(&str, Pages); 3] = [("on", Pages::On), ("off", Pages::Off), ("floor", Pages::Floor)];

    fn from_name(name: &str) -> Self {
        let found = Pages::ALL.iter().find(|(known, _)| *known == name);
        found.expect("on, off or floor").1
    }
}

/// Sets this process up.
fn set_up(pages: Pages) -> Telemetry {
    let setup = otel_setup::builder()
        .trace_exporters([])
        .metric_exporters([])
        .log_exporters([])
        .stdout_logs(StdoutLogs::Off);
    let without = |setup: Builder| setup.configure_meter_provider(|meters| meters.with_reader(ManualReader::default()));
    let setup = match pages {
        Pages::On => setup.zpages_address(([127, 0, 0, 1], 0).into()),
        Pages::Off => without(setup).configure_tracer_provider(|tracers| tracers.with_span_processor(Nothing)),
        Pages::Floor => {
            without(setup).configure_tracer_provider(|tracers| tracers.with_span_processor(FloorSpans::observe()))
        }
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

/// Returns the bytes that are allocated.
fn allocated() -> u64 {
    let (_, bytes) = allocations::alive();
    bytes
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
    let before = allocated();
    let telemetry = set_up(Pages::On);
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
    println!("{} bytes in use with {} streams", allocated() - before, streams.len());
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
fn memory(pages: Pages) {
    let _telemetry = set_up(pages);
    spans(1000);
    let before = allocated();
    let begun = Instant::now();
    spans(SPANS);
    let time = begun.elapsed().as_secs_f64();
    let grown = allocated().saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "a time per span")]
    let each = time * 1e9 / SPANS as f64;
    println!(
        "pages {}: {grown} bytes more after {SPANS} spans of {each:.0} ns",
        pages == Pages::On
    );
}

/// The function in which callgrind counts.
#[inline(never)]
fn measured(serve: &mut impl FnMut(u64)) {
    serve(COUNTED);
}

/// Serves RPCs, or makes spans, and prints their allocations.
fn count(mut serve: impl FnMut(u64)) {
    serve(WARM_UP);
    let (before, _) = allocations::so_far();
    measured(&mut serve);
    let (after, _) = allocations::so_far();
    println!("{}", after - before);
}

/// Runs this program with other arguments, and returns what it prints.
fn again(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new(env::current_exe()?).args(arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Returns the instructions and the allocations of each of `what`.
fn costs(what: &str, mode: &str) -> Result<(f64, f64), Box<dyn Error>> {
    let arguments = [what, mode].map(str::to_owned);
    let (_, instructions) = callgrind::instructions(&env::current_exe()?, &arguments, "zpages::measured")?;
    let allocations: u64 = again(&[what, mode])?.trim().parse()?;
    #[expect(clippy::cast_precision_loss, reason = "a quotient")]
    let each = |counted: u64| counted as f64 / COUNTED as f64;
    Ok((each(instructions), each(allocations)))
}

fn report() -> Result<(), Box<dyn Error>> {
    let rows = [
        ("rpcs", "on"),
        ("rpcs", "floor"),
        ("layered-rpcs", "on"),
        ("layered-rpcs", "floor"),
        ("spans", "on"),
    ];
    for (what, pages) in rows {
        let (with, without) = (costs(what, pages)?, costs(what, "off")?);
        println!(
            "{what}, {pages}: {:.0} instructions and {:.2} allocations, {:.0} and {:.2} without: {:.0} and {:.2} more",
            with.0,
            with.1,
            without.0,
            without.1,
            with.0 - without.0,
            with.1 - without.1
        );
    }
    print!("{}", again(&["page"])?);
    for mode in ["on", "off"] {
        print!("{}", again(&["memory", mode])?);
    }
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        for (rates, mode) in rates.iter_mut().zip(["on", "off"]) {
            rates.push(again(&["throughput", mode])?.trim().parse()?);
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
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["page"] => page(),
        ["memory", mode] => memory(Pages::from_name(mode)),
        ["throughput", mode] => println!("{}", throughput::measure(Pages::from_name(mode))),
        [what, mode] => {
            let _telemetry = set_up(Pages::from_name(mode));
            match what {
                "spans" => count(spans),
                _ => count(rpc::server(what == "layered-rpcs")),
            }
        }
        _ => report()?,
    }
    Ok(())
}
