//! A real Prometheus scrapes a service under a known load: what people ask it has the right answers.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use otel_runtime::telemetry::{self, Exporter, Telemetry};
use otel_runtime::traced_service;
use tests::collector::Collector;
use tests::kinds::Message;
use tests::kinds::unary_client::UnaryClient;
use tests::kinds::unary_server::{Unary, UnaryServer};
use tests::prometheus::{Programs, Prometheus, get};
use tests::rpc::request;
use tests::server::serve;
use tests::telemetry::expected;
use tokio::sync::watch;
use tokio::task::block_in_place;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

const BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const COUNT: &str = "rpc_server_call_duration_seconds_count";
const LONG: Duration = Duration::from_millis(300);

struct Service {
    /// Those that wait come back.
    open: watch::Receiver<bool>,
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Service {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        match request.get_ref().text.as_str() {
            "long" => tokio::time::sleep(LONG).await,
            "missing" => return Err(Status::not_found("missing")),
            "broken" => return Err(Status::internal("broken")),
            "wait" => drop(self.open.clone().wait_for(|open| *open).await),
            _ => {}
        }
        Ok(Response::new(request.into_inner()))
    }
}

// One test in this file: the set-up is the process's.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_and_its_queries() {
    let programs = Programs::install(env!("CARGO_TARGET_TMPDIR"));
    let collector = Collector::start();
    let telemetry = telemetry::builder()
        .service_name("service")
        .traces([Exporter::Otlp])
        .endpoint(collector.url())
        .metrics([Exporter::Prometheus])
        .logs([])
        .prometheus_address("127.0.0.1:0".parse().unwrap())
        .init()
        .unwrap();
    let scraped = telemetry.prometheus_address().unwrap();
    let (opened, open) = watch::channel(false);
    let server = serve(Routes::new(UnaryServer::new(Service { open }))).await;
    let channel = server.channel().await;
    let prometheus = Prometheus::start(&programs, scraped);

    // Prometheus takes what a series begins with for what was always there; so each begins before the load.
    for text in ["short", "missing", "broken"] {
        let _ = call(&channel, text).await;
    }
    let begun = seen(&prometheus, 3);
    let before = durations(&telemetry, &collector).await.len();
    assert_eq!(before, 3);

    let long: Vec<_> = (0..5)
        .map(|_| {
            tokio::spawn({
                let channel = channel.clone();
                async move { call(&channel, "long").await.unwrap() }
            })
        })
        .collect();
    for (text, count) in [("short", 80), ("missing", 10), ("broken", 5)] {
        for _ in 0..count {
            assert_eq!(call(&channel, text).await.is_ok(), text == "short");
        }
    }
    for long in long {
        long.await.unwrap();
    }
    let ended = seen(&prometheus, 103);
    // The spans say how long the RPCs took: their durations are the same.
    let durations = durations(&telemetry, &collector).await.split_off(before);
    assert_eq!(durations.len(), 100);

    let ask = |query: &str| {
        let range = format!("[{:.0}ms]", (ended - begun) * 1000.0);
        prometheus.value(&query.replace("[range]", &range), Some(ended))
    };
    let rate = ask(&format!("sum(rate({COUNT}[range]))"));
    assert_close(rate, 100.0 / (ended - begun));
    let of_method = format!(r#"sum by (rpc_method) (rate({COUNT}{{rpc_method="kinds.Unary/Call"}}[range]))"#);
    assert_close(ask(&of_method), rate);
    let errors = format!(r#"sum(rate({COUNT}{{error_type!=""}}[range])) / sum(rate({COUNT}[range]))"#);
    assert_close(ask(&errors), 0.05);
    let missing = format!(r#"sum(rate({COUNT}{{rpc_status_code="NOT_FOUND"}}[range])) / sum(rate({COUNT}[range]))"#);
    assert_close(ask(&missing), 0.1);
    let mean = ask(
        "sum(rate(rpc_server_call_duration_seconds_sum[range])) / sum(rate(rpc_server_call_duration_seconds_count[range]))",
    );
    assert_close(mean, durations.iter().sum::<f64>() / 100.0);
    for quantile in [0.5, 0.99] {
        let buckets = "sum by (le) (rate(rpc_server_call_duration_seconds_bucket[range]))";
        let found = ask(&format!("histogram_quantile({quantile}, {buckets})"));
        assert_close(found, interpolated(quantile, &durations));
    }
    assert!(interpolated(0.99, &durations) > 0.25, "{durations:?}");

    // What is asked for now.
    let service = "on (job, instance) group_left (service_name) target_info";
    let active = &format!("sum by (rpc_method, service_name) (rpc_server_active_requests * {service})");
    let held: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let channel = channel.clone();
                async move { call(&channel, "wait").await.unwrap() }
            })
        })
        .collect();
    let method_and_service = expected([("rpc_method", "kinds.Unary/Call"), ("service_name", "service")]);
    let are_active = |count| {
        let series = [(method_and_service.clone(), count)];
        block_in_place(|| prometheus.wait_for(active, |found| found == series));
    };
    are_active(3.0);
    opened.send(true).unwrap();
    for held in held {
        held.await.unwrap();
    }
    are_active(0.0);

    let (_, metrics) = block_in_place(|| get(scraped, "/metrics"));
    assert_eq!(programs.check_metrics(&metrics), (String::new(), true));
}

async fn call(channel: &Channel, text: &str) -> Result<(), Status> {
    let called = UnaryClient::new(channel.clone()).call(request(text)).await;
    called.map(drop)
}

/// When Prometheus has seen that there were so many RPCs, in seconds.
fn seen(prometheus: &Prometheus, count: usize) -> f64 {
    // In one query, so that both are of one scrape.
    let times = format!("timestamp({COUNT}) and on () (sum({COUNT}) == {count})");
    let times = block_in_place(|| prometheus.wait_for(&times, |found| !found.is_empty()));
    assert_eq!(times.len(), 3, "one for each status code: {times:?}");
    assert!(
        times.iter().all(|time| time.1.to_bits() == times[0].1.to_bits()),
        "{times:?}"
    );
    times[0].1
}

/// How long the RPCs took that have ended, in seconds.
async fn durations(telemetry: &Telemetry, collector: &Collector) -> Vec<f64> {
    telemetry.flush(Duration::from_secs(30)).await.unwrap();
    let duration =
        |span: &Span| Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano).as_secs_f64();
    collector.spans().iter().map(duration).collect()
}

/// A quantile as Prometheus has it: from the buckets, as if in each of them the durations lay evenly.
fn interpolated(quantile: f64, durations: &[f64]) -> f64 {
    let up_to = |boundary| -> f64 {
        let shorter = durations.iter().filter(|duration| **duration <= boundary);
        shorter.map(|_| 1.0).sum()
    };
    let rank = quantile * up_to(f64::INFINITY);
    let mut lower = 0.0;
    for boundary in BOUNDARIES {
        if up_to(boundary) >= rank {
            // None has lasted no time at all.
            let below = up_to(lower);
            return lower + (boundary - lower) * (rank - below) / (up_to(boundary) - below);
        }
        lower = boundary;
    }
    lower
}

fn assert_close(found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 1e-6, "{found} instead of {expected}");
}
