//! A program that executes commands from its standard input.
//!
//! Each command is a line, and is answered with a line that begins with `> `. The first argument
//! selects the runtime: `bare` for none, `current_thread` or `multi_thread` for tokio's. The other
//! arguments configure the builder: `endpoint=…`, `protocol=…`, `header=NAME:VALUE`,
//! `traces=otlp`, `span_limit=…`, `panics=sampler`, `json=true`.
//!
//! | command | effect |
//! |---|---|
//! | `spans 3`, `logs 3`, `counters 3` | records this number of spans, log records, or counters with a data point each |
//! | `entered 3` | enters this number of spans of `tracing` |
//! | `open 3` | starts this number of spans, which never end |
//! | `fat 3` | records this number of spans with 1 MiB each |
//! | `huge` | records a span with 5 MiB |
//! | `panicking` | makes an observable counter whose callback panics |
//! | `fields` | records fields whose `Debug` panics or fails; answers with the number of panics that it met |
//! | `often 3` | sets an attribute of a span, an event and a link this number of times, between others |
//! | `twice` | sets attributes of spans, events, log records and data points twice |
//! | `flush 500`, `shutdown 500` | flushes or shuts down, with a limit in milliseconds; answers with the time it took, and the error |
//! | `serve` | starts a service with a `ServerLayer`, and answers with its address; requires `multi_thread` |
//! | `call 5` | calls that service through a `ClientLayer`, with the header `x-tenant: a`; it answers with this status code |
//! | `drop` | drops the telemetry |

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use integration_tests::driven_panics as panics;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::rpc::request;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{channel_to, serve_with};
use opentelemetry::trace::{Span, SpanContext, Tracer};
use opentelemetry::{InstrumentationScope, KeyValue, global};
use otel_runtime::{ClientLayer, ServerLayer};
use otel_setup::{Builder, Exporter, Protocol, ShutdownError, Signal, StdoutLogs};
use tokio::runtime::{self, Handle};
use tokio::task;
use tonic::Code;
use tonic::transport::Server;
use tower_layer::Layer;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("current_thread") => {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { drive(arguments) });
        }
        Some("multi_thread") => {
            let runtime = runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async { drive(arguments) });
        }
        _ => drive(arguments),
    }
}

fn drive(arguments: impl Iterator<Item = String>) {
    let mut telemetry = match arguments
        .fold(otel_setup::builder(), |builder, argument| {
            configured(builder, &argument)
        })
        .init()
    {
        Ok(telemetry) => Some(telemetry),
        Err(error) => return println!("> {error}"),
    };
    println!("> ready");
    let mut servers = Vec::new();
    let mut open = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line.unwrap();
        let (what, number) = line.split_once(' ').unwrap_or((&line, "0"));
        let number: u32 = number.parse().unwrap();
        let limit = Duration::from_millis(number.into());
        let begun = Instant::now();
        match what {
            "spans" => (0..number).for_each(|_| global::tracer("driven").start("made").end()),
            "entered" => (0..number).for_each(|_| tracing::info_span!("entered").in_scope(|| ())),
            "open" => (0..number).for_each(|_| open.push(global::tracer("driven").start("open"))),
            "fat" => (0..number).for_each(|_| span_of(1 << 20)),
            "huge" => span_of(5 << 20),
            "often" => often(number.into()),
            "twice" => twice(),
            "fields" => {
                println!("> {}", panics::fields());
                continue;
            }
            "panicking" => observe_by_panicking(),
            "logs" => (0..number).for_each(|_| tracing::info!("made")),
            "counters" => (0..number).for_each(|index| {
                let counter = global::meter("driven").u64_counter(format!("made.{index}")).build();
                counter.add(1, &[]);
            }),
            "flush" => {
                answer(begun, block_on(telemetry.as_ref().unwrap().flush(limit)));
                continue;
            }
            "shutdown" => {
                answer(begun, block_on(telemetry.as_ref().unwrap().shutdown(limit)));
                continue;
            }
            "serve" => {
                let routes = ScriptedService::default().routes();
                let layer = Server::builder().layer(ServerLayer::new());
                let serving = serve_with(layer, routes);
                let server = task::block_in_place(|| Handle::current().block_on(serving));
                println!("> {}", server.address);
                servers.push(server);
                continue;
            }
            "call" => {
                let address = servers.last().expect("it serves").address;
                task::block_in_place(|| Handle::current().block_on(call_with_header(address, number)));
            }
            "drop" => drop(telemetry.take()),
            other => panic!("{other}?"),
        }
        println!("> done {}", begun.elapsed().as_millis());
    }
}

/// Calls the service at this address through a layer. It answers with this status code.
async fn call_with_header(address: SocketAddr, code: u32) {
    let layer = ClientLayer::new(address.to_string());
    let mut client = UnaryClient::new(layer.layer(channel_to(address).await));
    let mut request = request(&code.to_string());
    request.metadata_mut().insert("x-tenant", "a".parse().unwrap());
    let status = client
        .call(request)
        .await
        .map_or_else(|status| status.code(), |_| Code::Ok);
    assert_eq!(status as u32, code);
}

/// Records a span with an attribute of this size.
fn span_of(bytes: usize) {
    let mut span = global::tracer("driven").start("made");
    span.set_attribute(KeyValue::new("fat", "x".repeat(bytes)));
    span.end();
}

/// Sets an attribute of a span, an event and a link this number of times, between two others.
fn often(times: i64) {
    let values = (0..times).map(|value| KeyValue::new("often", value));
    let attributes = || {
        let (first, last) = (KeyValue::new("first", 0), KeyValue::new("last", 0));
        [first].into_iter().chain(values.clone()).chain([last])
    };
    let mut span = global::tracer("driven").start("set often");
    span.set_attributes(attributes());
    span.add_event("event", attributes().collect());
    span.add_link(SpanContext::empty_context(), attributes().collect());
    span.end();
    let span = tracing::info_span!("recorded often", often = tracing::field::Empty);
    for value in 0..times {
        span.record("often", value);
    }
}

/// Sets attributes of spans, events, log records and data points twice.
fn twice() {
    let scope = InstrumentationScope::builder("driven");
    let scope = scope
        .with_attributes([KeyValue::new("my", 1), KeyValue::new("my", 2)])
        .build();
    let mut span = global::tracer_with_scope(scope.clone()).start("set twice");
    span.set_attribute(KeyValue::new("my", 1));
    span.set_attribute(KeyValue::new("my", 2));
    span.add_event("event", vec![KeyValue::new("my", 3), KeyValue::new("my", 4)]);
    span.end();
    let span = tracing::info_span!("recorded twice", my = 1).entered();
    span.record("my", 2);
    tracing::info!("in a span");
    tracing::info!(my = 3, "with a field of its own");
    tracing::info!(other = 3, "without a field");
    let meter = global::meter_with_scope(scope);
    let counter = meter.u64_counter("twice").build();
    let histogram = meter.f64_histogram("twice.too").build();
    for other in 0..50 {
        // Each is exported as it is here, or without its second value, as a hash table has it.
        let attributes = [
            KeyValue::new("my", 1),
            KeyValue::new("other", other),
            KeyValue::new("my", 2),
        ];
        counter.add(1, &attributes);
        histogram.record(1.0, &attributes);
    }
}

fn observe_by_panicking() {
    // The test reads stderr.
    std::panic::set_hook(Box::new(|_| {}));
    let meter = global::meter("driven");
    let counter = meter.u64_observable_counter("panicking");
    counter.with_callback(|_| panic!("of the test")).build();
}

fn configured(builder: Builder, argument: &str) -> Builder {
    match argument.split_once('=').unwrap() {
        ("span_limit", limit) => {
            let limit = limit.parse().unwrap();
            builder.configure_tracer_provider(move |provider| provider.with_max_attributes_per_span(limit))
        }
        ("json", "true") => builder.stdout_logs(StdoutLogs::Json),
        ("json", _) => builder,
        ("panics", part) => panics::configured(builder, part),
        ("endpoint", endpoint) => builder.otlp_endpoint(endpoint),
        ("traces", "otlp") => builder.trace_exporters([Exporter::Otlp]),
        ("protocol", "grpc") => builder.otlp_protocol(Protocol::Grpc),
        ("protocol", _) => builder.otlp_protocol(Protocol::HttpProtobuf),
        ("header", header) => {
            let (name, value) = header.split_once(':').unwrap();
            builder.otlp_header(name, value)
        }
        (other, _) => panic!("{other}?"),
    }
}

/// Prints the outcome, the time in milliseconds, and the losses of each signal.
fn answer(begun: Instant, outcome: Result<(), ShutdownError>) {
    let took = begun.elapsed().as_millis();
    match outcome {
        Ok(()) => println!("> ok {took}"),
        Err(error) => {
            let lost = [Signal::Traces, Signal::Metrics, Signal::Logs].map(|signal| error.lost(signal));
            println!("> error {took} {lost:?} {error}");
        }
    }
}
