//! A Prometheus 3 accepts whatever a program records, and has the same names by OTLP.

use std::collections::BTreeSet;
use std::time::Duration;

use examples::services::{Cashier, Storefront};
use examples::shop::Order;
use examples::shop::payment_server::PaymentServer;
use examples::shop::shop_client::ShopClient;
use examples::shop::shop_server::ShopServer;
use fastrand::Rng;
use integration_tests::collector::Collector;
use integration_tests::http::{get, send_with};
use integration_tests::metric_names::record_all;
use integration_tests::own_process::{in_own_process, in_own_process_async, in_own_process_with};
use integration_tests::server::serve_with;
use opentelemetry::metrics::Meter;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{InstrumentationScope, KeyValue, global};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use otel_runtime::{ServerLayer, TracedChannel};
use otel_setup::{Builder, Exporter, Protocol, TranslationStrategy};
use peers::prometheus::{Programs, Prometheus};
use tokio::runtime::Runtime;
use tokio::task::block_in_place;
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Status};

const OPEN_METRICS: &str = "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8\r\n";

fn programs() -> Programs {
    Programs::install(env!("CARGO_TARGET_TMPDIR"))
}

fn builder() -> Builder {
    otel_setup::builder()
        .service_name("service")
        .trace_exporters([])
        .metric_exporters([Exporter::Prometheus])
        .log_exporters([])
        .prometheus_address("127.0.0.1:0".parse().unwrap())
}

#[test]
fn names_are_those_that_prometheus_gives_to_otlp() {
    in_own_process_async(async {
        let prometheus = Prometheus::start_with(&programs(), &[], &["--web.enable-otlp-receiver"]);
        let telemetry = builder()
            .metric_exporters([Exporter::Prometheus, Exporter::Otlp])
            .otlp_endpoint(format!("http://{}/api/v1/otlp", prometheus.address))
            .otlp_protocol(Protocol::HttpProtobuf)
            .init()
            .unwrap();
        assert_eq!(record_all(&global::meter("names")).len(), 108);
        telemetry.flush(Duration::from_secs(30)).await.unwrap();
        let scraped = telemetry.prometheus_address().unwrap();
        let (_, text) = tokio::task::spawn_blocking(move || get(scraped, "/metrics"))
            .await
            .unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let names = samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned());
        let by_scrape: BTreeSet<String> = names.collect();
        let found = tokio::task::spawn_blocking(move || prometheus.api("label/__name__/values"));
        let found = found.await.unwrap();
        let by_otlp: BTreeSet<String> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        // 27 histograms have three names each.
        assert_eq!(by_scrape.len(), 27 * 6 + 1);
        assert_eq!(by_scrape, by_otlp);
    });
}

const NAMES: [&str; 10] = [
    "a", "a.b", "a_total", "a/b-c", "A.", "total.a", "seconds", "a__", "a.ratio", "a_bucket",
];
const UNITS: [&str; 12] = [
    "", "s", "ms", "1", "%", "By", "By/s", "{a}", "{a}/s", "EUR", "/", "m^2/s",
];
const KEYS: [&str; 14] = [
    "a",
    "a.b",
    "a_b",
    "1st",
    "le",
    "quantile",
    "",
    "é",
    "__name__",
    "_",
    "job",
    "otel.scope.name",
    "a\"b\n",
    "a:b",
];
const TEXTS: [&str; 10] = ["", "a", "\"", "\\", "\n", "é🦀", "a;b", "\r\0", "# EOF", "\\n\"} 1"];
const VALUES: [f64; 11] = [
    0.0,
    1.0,
    0.003,
    7.5,
    -1.0,
    1e300,
    -1e300,
    1e-300,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

/// Records random values with an instrument of this number.
fn record(meter: &Meter, rng: &mut Rng, number: usize) {
    let mut name = (*rng.choice(NAMES.iter()).unwrap()).to_owned();
    // Other names collide.
    if rng.bool() {
        name = format!("{name}.n{number}");
    }
    let unit = *rng.choice(UNITS.iter()).unwrap();
    let description = *rng.choice(TEXTS.iter()).unwrap();
    let kind = rng.u8(0..5);
    for _ in 0..rng.usize(1..4) {
        let keys: Vec<_> = (0..rng.usize(0..4))
            .map(|_| *rng.choice(KEYS.iter()).unwrap())
            .collect();
        let attributes: Vec<_> = keys
            .into_iter()
            .map(|key| KeyValue::new(key, *rng.choice(TEXTS.iter()).unwrap()))
            .collect();
        let value = *rng.choice(VALUES.iter()).unwrap();
        macro_rules! build {
            ($instrument:ident) => {
                meter
                    .$instrument(name.clone())
                    .with_unit(unit)
                    .with_description(description)
                    .build()
            };
        }
        match kind {
            0 => build!(u64_counter).add(rng.u64(0..10), &attributes),
            1 => build!(f64_counter).add(value, &attributes),
            2 => build!(f64_up_down_counter).add(value, &attributes),
            3 => build!(f64_gauge).record(value, &attributes),
            _ => build!(f64_histogram).record(value, &attributes),
        }
    }
}

#[test]
fn prometheus_accepts_the_metrics_of_any_program() {
    for strategy in [
        TranslationStrategy::UnderscoreEscapingWithSuffixes,
        TranslationStrategy::NoUtf8EscapingWithSuffixes,
        TranslationStrategy::NoTranslation,
    ] {
        // The variable distinguishes the processes.
        in_own_process_with(&[("STRATEGY", format!("{strategy:?}"))], || {
            let telemetry = builder().prometheus_translation_strategy(strategy).init().unwrap();
            let scraped = telemetry.prometheus_address().unwrap();
            let mut rng = Rng::with_seed(20);
            let scopes = ["a", "b", ""].map(|scope| {
                let attributes = [KeyValue::new("name", "c"), KeyValue::new("1st", scope)];
                let scope = InstrumentationScope::builder(scope)
                    .with_version("1")
                    .with_attributes(attributes);
                global::meter_with_scope(scope.build())
            });
            for number in 0..1000 {
                record(&scopes[number % 3], &mut rng, number);
            }
            let (_, text) = send_with(scraped, "GET /metrics", OPEN_METRICS);
            let text = String::from_utf8(text).unwrap();
            let samples = text.lines().filter(|line| !line.starts_with('#')).count();
            assert!(samples > 3000, "{samples}");
            let prometheus = Prometheus::start(&programs(), scraped);
            let up = prometheus.wait_for("up", |found| !found.is_empty());
            assert_eq!(up[0].1.to_bits(), 1.0_f64.to_bits(), "{}", prometheus.api("targets"));
            let ingested = prometheus.value("scrape_samples_post_metric_relabeling", None);
            assert_eq!(format!("{ingested}"), samples.to_string());
            assert_eq!(prometheus.complaints(), Vec::<String>::new());
        });
    }
}

#[test]
fn an_exemplar_names_the_slow_order_and_the_first_failure_counts() {
    let test = async {
        let collector = Collector::start();
        let telemetry = builder()
            .service_name("shop")
            .trace_exporters([Exporter::Otlp])
            .otlp_endpoint(collector.url())
            .init()
            .unwrap();
        let scraped = telemetry.prometheus_address().unwrap();
        let flags = ["--enable-feature=exemplar-storage,created-timestamp-zero-ingestion"];
        let prometheus = Prometheus::start_with(&programs(), &[scraped], &flags);

        // The shop calls the cashier in its own server.
        let cashier = serve_with(Server::builder(), Routes::new(PaymentServer::new(Cashier))).await;
        let endpoint = Endpoint::from_shared(format!("http://{}", cashier.address)).unwrap();
        let storefront = Storefront::new(TracedChannel::connect_lazy(&endpoint));
        let shop = ShopServer::with_interceptor(storefront, |request: Request<()>| {
            if request.metadata().contains_key("slow") {
                std::thread::sleep(Duration::from_millis(300));
            }
            if request.metadata().contains_key("broken") {
                return Err(Status::internal("broken"));
            }
            Ok(request)
        });
        let server = serve_with(Server::builder().layer(ServerLayer::new()), Routes::new(shop)).await;
        let mut shop = ShopClient::new(server.channel().await);
        let mut order = async |keys: &[&'static str]| {
            let order = Order {
                item: "apple".into(),
                quantity: 1,
            };
            let mut request = Request::new(order);
            for key in keys {
                request.metadata_mut().insert(*key, "1".parse().unwrap());
            }
            shop.place_order(request).await.map(drop)
        };
        for _ in 0..5 {
            order(&[]).await.unwrap();
        }
        order(&["slow"]).await.unwrap();
        let count = "rpc_server_call_duration_seconds_count";
        let ok = format!(r#"{count}{{rpc_method="shop.Shop/PlaceOrder",rpc_status_code="OK"}} == 6"#);
        block_in_place(|| prometheus.wait_for(&ok, |found| !found.is_empty()));

        let buckets = r#"rpc_server_call_duration_seconds_bucket{rpc_method="shop.Shop/PlaceOrder"}"#;
        let exemplars = block_in_place(|| prometheus.exemplars(buckets));
        let value = |exemplar: &serde_json::Value| exemplar["value"].as_str().unwrap().parse::<f64>().unwrap();
        let slow: Vec<_> = exemplars.iter().filter(|exemplar| value(exemplar) > 0.25).collect();
        assert_eq!(slow.len(), 1, "{exemplars:?}");
        telemetry.flush(Duration::from_secs(30)).await.unwrap();
        let spans = collector.spans();
        let servers = spans
            .iter()
            .filter(|span| span.kind() == SpanKind::Server && span.name == "shop.Shop/PlaceOrder");
        let duration = |start, end| Duration::from_nanos(end - start).as_secs_f64();
        let slowest: Vec<_> = servers
            .filter(|span| duration(span.start_time_unix_nano, span.end_time_unix_nano) > 0.25)
            .collect();
        assert_eq!(slowest.len(), 1);
        let trace_id = TraceId::from_bytes(slowest[0].trace_id[..].try_into().unwrap());
        let span_id = SpanId::from_bytes(slowest[0].span_id[..].try_into().unwrap());
        assert_eq!(slow[0]["labels"]["trace_id"], trace_id.to_string());
        assert_eq!(slow[0]["labels"]["span_id"], span_id.to_string());
        let expected = duration(slowest[0].start_time_unix_nano, slowest[0].end_time_unix_nano);
        assert_eq!(value(slow[0]).to_bits(), expected.to_bits());

        // The first failure is an increase, as Prometheus knows since when the series exists.
        assert_eq!(order(&["broken"]).await.unwrap_err().code(), tonic::Code::Internal);
        let failures = format!(r#"increase({count}{{error_type="INTERNAL"}}[5m])"#);
        let found = block_in_place(|| prometheus.wait_for(&failures, |found| !found.is_empty()));
        assert!(found[0].1 >= 1.0, "{found:?}");
        let created = block_in_place(|| prometheus.query(r#"{__name__=~".+_created"}"#, None));
        assert_eq!(created, []);
        assert_eq!(prometheus.complaints(), Vec::<String>::new());
    };
    // The thread waits for Prometheus while the server runs.
    in_own_process(|| Runtime::new().unwrap().block_on(test));
}
