//! Prometheus scrapes a service under a known load, and usual queries give the right results.

use std::time::Duration;

use integration_tests::child::DrivenProcess;
use integration_tests::client::{connect, endpoint};
use integration_tests::collector::Collector;
use integration_tests::free_address::free_address;
use integration_tests::http::get;
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::rpc::request;
use integration_tests::server::serve_with;
use integration_tests::telemetry::expected;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use otel_runtime::{ServerLayer, TracedChannel, traced_service};
use otel_setup::{Exporter, Telemetry};
use peers::prometheus::{Programs, Prometheus};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

const BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const COUNT: &str = "rpc_server_call_duration_seconds_count";
const LONG: Duration = Duration::from_millis(300);

struct Service {
    /// Calls that wait return once this is true.
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

// The set-up is global, so no other test of this file may set up this process.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_and_its_queries() {
    let programs = Programs::install(env!("CARGO_TARGET_TMPDIR"));
    let collector = Collector::start();
    let telemetry = otel_setup::builder()
        .service_name("service")
        .trace_exporters([Exporter::Otlp])
        .otlp_endpoint(collector.url())
        .metric_exporters([Exporter::Prometheus])
        .log_exporters([])
        .prometheus_address("127.0.0.1:0".parse().unwrap())
        .init()
        .unwrap();
    let scraped = telemetry.prometheus_address().unwrap();
    let (opened, open) = watch::channel(false);
    let server = serve_with(
        Server::builder().layer(ServerLayer::new().message_sizes()),
        Routes::new(UnaryServer::new(Service { open })),
    )
    .await;
    let channel = connect(&server).await;
    let prometheus = Prometheus::start(&programs, scraped);

    // Prometheus ignores the first value of a series, so every series starts before the load.
    for text in ["short", "missing", "broken"] {
        let _ = call(&channel, text).await;
    }
    let begun = seen(&prometheus, 3);
    let before = durations(&telemetry, &collector).await.len();
    assert_eq!(before, 3);

    load(&channel).await;
    let ended = seen(&prometheus, 103);
    // Spans and metrics have the same durations.
    let durations = durations(&telemetry, &collector).await.split_off(before);
    assert_eq!(durations.len(), 100);

    let value = |query: &str| {
        // A range excludes its beginning, so it begins before the first scrape.
        let range = format!("[{:.0}ms]", (ended - begun) * 1000.0 + 1.0);
        prometheus.value(&query.replace("[range]", &range), Some(ended))
    };
    let rate = value(&format!("sum(rate({COUNT}[range]))"));
    assert_close(rate, 100.0 / (ended - begun));
    let of_method = format!(r#"sum by (rpc_method) (rate({COUNT}{{rpc_method="kinds.Unary/Call"}}[range]))"#);
    assert_close(value(&of_method), rate);
    let errors = format!(r#"sum(rate({COUNT}{{error_type!=""}}[range])) / sum(rate({COUNT}[range]))"#);
    assert_close(value(&errors), 0.05);
    let missing = format!(r#"sum(rate({COUNT}{{rpc_status_code="NOT_FOUND"}}[range])) / sum(rate({COUNT}[range]))"#);
    assert_close(value(&missing), 0.1);
    let mean = value(
        "sum(rate(rpc_server_call_duration_seconds_sum[range])) / sum(rate(rpc_server_call_duration_seconds_count[range]))",
    );
    assert_close(mean, durations.iter().sum::<f64>() / 100.0);
    for quantile in [0.5, 0.99] {
        let buckets = "sum by (le) (rate(rpc_server_call_duration_seconds_bucket[range]))";
        let found = value(&format!("histogram_quantile({quantile}, {buckets})"));
        assert_close(found, interpolated(quantile, &durations));
    }
    assert!(interpolated(0.99, &durations) > 0.25, "{durations:?}");

    // Active requests are queried at the present time.
    let service = "on (job, instance) group_left (service_name) target_info";
    // The first request of a method is active as `_OTHER` until its handler resolves the method.
    let active = r#"rpc_server_active_requests{rpc_method!="_OTHER"}"#;
    let active = &format!("sum by (rpc_method, service_name) ({active} * {service})");
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
    println!("{metrics}");
    for family in [
        "rpc_server_call_duration_seconds histogram",
        "rpc_server_active_requests gauge",
        "rpc_client_call_duration_seconds histogram",
        "rpc_client_active_requests gauge",
        "grpc_server_call_rcvd_total_compressed_message_size_bytes histogram",
        "grpc_server_call_sent_total_compressed_message_size_bytes histogram",
    ] {
        assert!(metrics.contains(&format!("# TYPE {family}\n")), "no {family}");
    }
    assert_eq!(programs.check_metrics(&metrics), (String::new(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_objects_to_the_unit_of_the_old_names_alone() {
    let programs = Programs::install(env!("CARGO_TARGET_TMPDIR"));
    let scraped = free_address();
    let variables = [
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "rpc/dup"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", &*scraped.port().to_string()),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let (service, address) = DrivenProcess::start(env!("CARGO_BIN_EXE_hop"), &[], variables);
    let channel = endpoint(address.parse().unwrap()).connect().await.unwrap();
    UnaryClient::new(channel).call(request("short")).await.unwrap();

    let (_, metrics) = block_in_place(|| get(scraped, "/metrics"));
    let objection = "rpc_server_duration_milliseconds use base unit \"seconds\" instead of \"milliseconds\"\n";
    assert_eq!(programs.check_metrics(&metrics), (objection.to_owned(), false));
    drop(service.end());
}

async fn call(channel: &TracedChannel, text: &str) -> Result<(), Status> {
    let called = UnaryClient::new(channel.clone()).call(request(text)).await;
    called.map(drop)
}

/// Makes a hundred RPCs: 5 take long, 10 end with `NOT_FOUND`, 5 fail.
async fn load(channel: &TracedChannel) {
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
            assert_eq!(call(channel, text).await.is_ok(), text == "short");
        }
    }
    for long in long {
        long.await.unwrap();
    }
}

/// Waits until Prometheus has seen so many RPCs, and returns the time of that scrape in seconds.
fn seen(prometheus: &Prometheus, count: usize) -> f64 {
    // A single query, so that both values are of one scrape.
    let times = format!("timestamp({COUNT}) and on () (sum({COUNT}) == {count})");
    let times = block_in_place(|| prometheus.wait_for(&times, |found| !found.is_empty()));
    assert_eq!(times.len(), 3, "one for each status code: {times:?}");
    assert!(
        times.iter().all(|time| time.1.to_bits() == times[0].1.to_bits()),
        "{times:?}"
    );
    times[0].1
}

/// Returns the durations of the RPCs that have ended, in seconds.
async fn durations(telemetry: &Telemetry, collector: &Collector) -> Vec<f64> {
    telemetry.flush(Duration::from_secs(30)).await.unwrap();
    let duration =
        |span: &Span| Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano).as_secs_f64();
    let spans = collector.spans();
    let servers = spans.iter().filter(|span| span.kind() == SpanKind::Server);
    servers.map(duration).collect()
}

/// Returns a quantile as Prometheus computes it, with durations spread evenly in each bucket.
fn interpolated(quantile: f64, durations: &[f64]) -> f64 {
    let up_to = |boundary| -> f64 {
        let shorter = durations.iter().filter(|duration| **duration <= boundary);
        shorter.map(|_| 1.0).sum()
    };
    let rank = quantile * up_to(f64::INFINITY);
    let mut lower = 0.0;
    for boundary in BOUNDARIES {
        if up_to(boundary) >= rank {
            // No duration is zero.
            let below = up_to(lower);
            return lower + (boundary - lower) * (rank - below) / (up_to(boundary) - below);
        }
        lower = boundary;
    }
    lower
}

fn assert_close(found: f64, expected: f64) {
    // The millisecond before the first scrape is extrapolated, but not below zero.
    assert!((found / expected - 1.0).abs() < 0.003, "{found} instead of {expected}");
}
