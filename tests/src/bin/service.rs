//! A service with one line of setup, which tests run as a child process with environment variables.
//!
//! The program serves on loopback, calls itself through a traced channel, and ends. It prints only
//! errors, to stderr. Its arguments are:
//!
//! * a number: the number of calls, 1 by default;
//! * `json`: the console exporters write JSON;
//! * `times`: at the end, prints a line of latencies and memory after `> `.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::greeter_server::{Greeter, GreeterServer};
use examples::helloworld::{HelloReply, HelloRequest};
use integration_tests::server::serve;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState, get_active_span};
use otel_runtime::{TracedChannel, traced_service};
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name } = request.into_inner();
        tracing::info!(name, "greeting");
        get_active_span(|span| {
            for number in 1..=3 {
                span.add_event(
                    format!("event {number}"),
                    vec![KeyValue::new("a", 1), KeyValue::new("b", 2)],
                );
                span.add_link(linked(), vec![KeyValue::new("a", 1), KeyValue::new("b", 2)]);
            }
        });
        Ok(Response::new(HelloReply {
            message: format!("Hello, {name}!"),
        }))
    }
}

fn linked() -> SpanContext {
    let (trace, span) = (TraceId::from(1), SpanId::from(1));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE)
}

/// Prints the number of calls, their median and 99th percentile in µs, and peak memory in KiB.
fn tell(mut times: Vec<Duration>) {
    times.sort();
    let quantile = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.map_or("?", |peak| peak.trim().trim_end_matches(" kB"));
    println!("> {} {} {} {peak}", times.len(), quantile(50), quantile(99));
}

#[tokio::main]
async fn main() -> ExitCode {
    let (mut calls, mut is_json, mut tells_times) = (1, false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "json" => is_json = true,
            "times" => tells_times = true,
            number => calls = number.parse().unwrap(),
        }
    }
    let telemetry = if is_json {
        otel_setup::builder().console_json().init()
    } else {
        otel_setup::init()
    };
    let telemetry = match telemetry {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("init: {error}");
            return ExitCode::FAILURE;
        }
    };
    let server = serve(Routes::new(GreeterServer::new(MyGreeter))).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let mut client = GreeterClient::new(TracedChannel::connect(endpoint).await.unwrap());
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let begun = Instant::now();
        client.say_hello(HelloRequest { name: "Ada".into() }).await.unwrap();
        times.push(begun.elapsed());
    }
    if tells_times {
        tell(times);
    }
    drop(server);
    if let Err(error) = telemetry.shutdown(Duration::from_secs(5)).await {
        eprintln!("shutdown: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
