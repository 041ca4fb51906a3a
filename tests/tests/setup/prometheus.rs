//! `OTEL_METRICS_EXPORTER=prometheus`: a scrape endpoint with the metrics of the RPCs.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::greeter_server::{Greeter, GreeterServer};
use examples::helloworld::{HelloReply, HelloRequest};
use integration_tests::child;
use integration_tests::http;
use integration_tests::own_process::in_own_process_async;
use integration_tests::server::{TIMEOUT, serve};
use otel_runtime::traced_service;
use otel_setup::{Exporter, Telemetry, TranslationStrategy};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// A header `Accept` for OpenMetrics.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";
/// The first format that Prometheus 3 asks for.
pub(crate) const UTF_8: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8";

/// A scrape endpoint on a free port, without attributes of a resource.
pub(crate) struct Scrape {
    pub(crate) address: SocketAddr,
    _telemetry: Telemetry,
}

impl Scrape {
    /// Sets this process up. Metrics of the global meter provider are then scraped.
    pub(crate) fn start() -> Self {
        Scrape::with(TranslationStrategy::default())
    }

    pub(crate) fn with(strategy: TranslationStrategy) -> Self {
        let telemetry = otel_setup::builder()
            .trace_exporters([])
            .metric_exporters([Exporter::Prometheus])
            .log_exporters([])
            .prometheus_address("127.0.0.1:0".parse().unwrap())
            .prometheus_translation_strategy(strategy)
            .init()
            .unwrap();
        Scrape {
            address: telemetry.prometheus_address().unwrap(),
            _telemetry: telemetry,
        }
    }

    /// Returns the head and the text of a scrape, with a header `Accept` if it is not empty.
    pub(crate) fn response(&self, accept: &str) -> (String, String) {
        let accept = if accept.is_empty() {
            String::new()
        } else {
            format!("Accept: {accept}\r\n")
        };
        let (head, text) = http::send_with(self.address, "GET /metrics", &accept);
        (head, String::from_utf8(text).unwrap())
    }

    /// Returns the text of a scrape.
    pub(crate) fn text(&self, accept: &str) -> String {
        let (head, text) = self.response(accept);
        assert!(head.starts_with("HTTP/1.0 200 OK"), "{head}");
        text
    }
}

pub(crate) struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        match request.into_inner().name.as_str() {
            "" => Err(Status::internal("nobody")),
            name => Ok(Response::new(HelloReply { message: name.into() })),
        }
    }
}

fn has(metrics: &str, name: &str, labels: &[&str], value: &str) -> bool {
    metrics.lines().any(|line| {
        line.starts_with(&format!("{name}{{"))
            && labels.iter().all(|label| line.contains(label))
            && line.ends_with(&format!("}} {value}"))
    })
}

#[test]
fn metrics_of_rpcs_can_be_scraped_until_the_shutdown() {
    in_own_process_async(async {
        let telemetry = otel_setup::builder()
            .service_name("greeter")
            .trace_exporters([])
            .metric_exporters([Exporter::Prometheus])
            .log_exporters([])
            .prometheus_address("127.0.0.1:0".parse().unwrap())
            .init()
            .unwrap();
        let address = telemetry.prometheus_address().unwrap();

        let server = serve(Routes::new(GreeterServer::new(MyGreeter))).await;
        let mut client = GreeterClient::new(server.channel().await);
        for name in ["Ada", "Bob", ""] {
            let _ = client.say_hello(HelloRequest { name: name.into() }).await;
        }

        let (head, metrics) = tokio::task::spawn_blocking(move || http::send(address, "GET /metrics"))
            .await
            .unwrap();
        assert!(head.starts_with("HTTP/1.0 200 OK"), "{head}");
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        let ok = [
            r#"rpc_method="helloworld.Greeter/SayHello""#,
            r#"rpc_system_name="grpc""#,
            r#"rpc_status_code="OK""#,
        ];
        assert!(
            has(&metrics, "rpc_server_call_duration_seconds_count", &ok, "2"),
            "{metrics}"
        );
        let failed = [r#"rpc_status_code="INTERNAL""#, r#"error_type="INTERNAL""#];
        assert!(
            has(&metrics, "rpc_server_call_duration_seconds_count", &failed, "1"),
            "{metrics}"
        );
        assert!(
            has(
                &metrics,
                "rpc_server_call_duration_seconds_bucket",
                &[r#"le="0.005""#, ok[2]],
                "2"
            ),
            "{metrics}"
        );
        assert!(has(&metrics, "rpc_server_active_requests", &ok[..2], "0"), "{metrics}");
        assert!(
            has(&metrics, "target_info", &[r#"service_name="greeter""#], "1"),
            "{metrics}"
        );
        assert!(
            metrics.contains("# TYPE rpc_server_call_duration_seconds histogram"),
            "{metrics}"
        );
        assert!(metrics.contains("# TYPE rpc_server_active_requests gauge"), "{metrics}");

        let elsewhere =
            tokio::task::spawn_blocking(move || ["GET /x", "POST /metrics", "GET /"].map(|it| http::send(address, it)));
        let [(nothing, _), (not_allowed, _), (page, html)] = elsewhere.await.unwrap();
        assert!(nothing.starts_with("HTTP/1.0 404"), "{nothing}");
        assert!(not_allowed.starts_with("HTTP/1.0 405"), "{not_allowed}");
        assert!(not_allowed.contains("allow: GET, HEAD"), "{not_allowed}");
        assert!(page.starts_with("HTTP/1.0 200 OK"), "{page}");
        assert!(html.contains("<a href=\"/metrics\">"), "{html}");

        telemetry.shutdown(Duration::from_secs(5)).await.unwrap();
        assert_eq!(telemetry.prometheus_address(), Some(address));
        let closed = tokio::task::spawn_blocking(move || {
            // The thread closes the socket soon after the shutdown, so poll.
            let started = std::time::Instant::now();
            while TcpListener::bind(address).is_err() {
                assert!(started.elapsed() < TIMEOUT, "still there");
                std::thread::yield_now();
            }
        });
        closed.await.unwrap();
    });
}

#[test]
fn host_and_port_are_configurable() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = |host, port| {
        let variables = [
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_EXPORTER_PROMETHEUS_HOST", host),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", port),
        ];
        child::run(env!("CARGO_BIN_EXE_service"), &[], variables)
    };
    let ended = run("127.0.0.1", &port);
    assert!(!ended.success);
    let expected = format!(
        "init: cannot listen for Prometheus at OTEL_EXPORTER_PROMETHEUS_HOST=\"127.0.0.1\", \
         OTEL_EXPORTER_PROMETHEUS_PORT=\"{port}\": Address already in use (os error 98); \
         set OTEL_EXPORTER_PROMETHEUS_PORT to another port, or to 0 for any free one, which is logged then\n"
    );
    assert_eq!(ended.stderr, expected);

    let ended = run("127.0.0.1", "0");
    assert!(ended.success, "{ended:?}");
    let logged = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_once("Prometheus can scrape http://127.0.0.1:"));
    let ports: Vec<_> = logged
        .map(|(_, port)| port.strip_suffix("/metrics").unwrap().parse::<u16>().unwrap())
        .collect();
    assert!(ports.len() == 1 && ports[0] > 0, "{ended:?}");
    for host in ["[::1]", " ::1 "] {
        let ended = run(host, "0");
        assert!(
            ended.success && ended.stdout.contains("can scrape http://[::1]:"),
            "{ended:?}"
        );
    }
    let ended = run("nowhere.invalid", "0");
    assert!(
        ended
            .stderr
            .contains("OTEL_EXPORTER_PROMETHEUS_HOST=\"nowhere.invalid\""),
        "{ended:?}"
    );
}

#[test]
fn invalid_port_is_logged() {
    // The default port, 9464, may be in use, and then the error says so.
    let variables = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", ""),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "http"),
    ];
    let ended = child::run(env!("CARGO_BIN_EXE_service"), &[], variables);
    let told = r#"OTEL_EXPORTER_PROMETHEUS_PORT="http" is not a valid number; using 9464"#;
    let failed = r#"OTEL_EXPORTER_PROMETHEUS_HOST="localhost", OTEL_EXPORTER_PROMETHEUS_PORT="9464""#;
    assert!(
        ended.stdout.contains(told) || ended.stderr.contains(failed),
        "{ended:?}"
    );
}
