//! Compares the computed size of metrics with those of the shop, in fleets of three sizes.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use examples::fleet::{Method, Replica, Size};
use integration_tests::collector::Collector;
use integration_tests::free_address::free_address;
use integration_tests::{child, http};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

/// The boundaries of the semantic conventions.
const DEFAULT: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Runs a shop with a customer, and returns the size of its RPC metrics, and the port of its
/// cashier's target.
fn run_shop(boundaries: &[f64]) -> (Size, u16) {
    let collector = Collector::start();
    let page = free_address();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("otel.yaml");
    let text = format!(
        r#"
file_format: "1.0"
meter_provider:
  readers:
    - pull: {{exporter: {{prometheus/development: {{host: "127.0.0.1", port: {}}}}}}}
    - periodic: {{exporter: {{otlp_http: {{endpoint: "{}/v1/metrics"}}}}}}
instrumentation/development: {{rust: {{otel_runtime: {{duration_boundaries: {boundaries:?}}}}}}}
"#,
        page.port(),
        collector.url(),
    );
    fs::write(&file, text).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_shop_server"))
        .env_clear()
        .envs([("PORT", "0"), ("OTEL_CONFIG_FILE", file.to_str().unwrap())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("open address=") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the shop has ended");
    }
    let (_, port) = line.trim_end().rsplit_once(':').unwrap();
    let port = port.to_owned();
    let none = ["TRACES", "METRICS", "LOGS"].map(|signal| (format!("OTEL_{signal}_EXPORTER"), "none"));
    let variables = none.iter().map(|(name, value)| (name.as_str(), *value));
    let client = child::run(
        env!("CARGO_BIN_EXE_shop_client"),
        &[],
        variables.chain([("PORT", &*port)]),
    );
    assert!(client.success, "{client:?}");
    let (_, scrape) = http::get(page, "/metrics");
    let id = server.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    lines.read_to_string(&mut line).unwrap();
    assert!(server.wait().unwrap().success(), "{line}");
    (emitted(&scrape, &collector), port.parse().unwrap())
}

/// Returns the size of what a shop has emitted.
fn emitted(scrape: &str, collector: &Collector) -> Size {
    let series: Vec<_> = scrape.lines().filter(|line| line.starts_with("rpc_")).collect();
    let received = collector.received();
    let metrics = received.last().unwrap().metrics();
    let points: Vec<usize> = metrics
        .iter()
        .filter(|metric| metric.name.starts_with("rpc."))
        .flat_map(lengths)
        .collect();
    Size {
        points: points.len(),
        otlp_bytes: points.iter().sum(),
        series: series.len(),
        scrape_bytes: series.iter().map(|line| line.len() + 1).sum(),
    }
}

/// Returns the bytes of each data point of a metric.
fn lengths(metric: &Metric) -> Vec<usize> {
    let field = |length: usize| length + prost::length_delimiter_len(length) + 1;
    match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.iter().map(|point| field(point.encoded_len())).collect(),
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter();
            points.map(|point| field(point.encoded_len())).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// The shop, as its customer leaves it.
fn shop(boundaries: &[f64], port: u16) -> Replica {
    let method = |name: &str, codes: &[_]| Method {
        name: name.to_owned(),
        codes: codes.to_vec(),
    };
    let refused = "FAILED_PRECONDITION";
    let orders = ["OK", "NOT_FOUND", "INVALID_ARGUMENT", refused].map(|code| (code, false));
    Replica {
        served: vec![
            method("shop.Shop/PlaceOrder", &orders),
            method("shop.Payment/Charge", &[("OK", false), (refused, false)]),
        ],
        called: vec![method("shop.Payment/Charge", &[("OK", false), (refused, true)])],
        targets: vec![("127.0.0.1".to_owned(), port)],
        boundaries: boundaries.to_vec(),
        digits: 1,
    }
}

#[test]
fn the_computed_size_is_that_of_the_shop_in_fleets_of_three_sizes() {
    let few = [0.01, 0.1, 1.0];
    for (name, boundaries, replicas) in [
        ("few boundaries", &few[..], 1),
        ("one replica", &DEFAULT, 1),
        ("three replicas", &DEFAULT, 3),
    ] {
        let (mut emitted, mut computed) = (Size::default(), Size::default());
        for _ in 0..replicas {
            let (size, port) = run_shop(boundaries);
            emitted = emitted.plus(size);
            computed = computed.plus(shop(boundaries, port).size());
        }
        assert_eq!(
            (computed.points, computed.series),
            (emitted.points, emitted.series),
            "{name}"
        );
        for (computed, emitted) in [
            (computed.otlp_bytes, emitted.otlp_bytes),
            (computed.scrape_bytes, emitted.scrape_bytes),
        ] {
            let difference = computed.abs_diff(emitted);
            assert!(difference * 50 < emitted, "{name}: {computed} of {emitted} bytes");
        }
    }
}
