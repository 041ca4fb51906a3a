//! Ways of metrics from a service to a Prometheus.

use std::net::SocketAddr;
use std::time::Duration;

use otel_setup::{Builder, Exporter, Protocol, Telemetry};
use serde_json::json;

use super::RULES;
use crate::backends::{Collector, Receiver, install_collector};
use crate::prometheus::{Programs, Prometheus};

/// A way of metrics to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Route {
    /// Prometheus scrapes the service.
    Scrape,
    /// The service sends OTLP to Prometheus.
    Otlp,
    /// Through the Collector, by its exporter of this name.
    Collector(&'static str),
}

/// The form of the histograms in Prometheus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// A series for each bucket.
    Classic,
    /// A single series with all buckets.
    Native,
}

/// A service whose metrics reach a Prometheus on a route.
#[derive(Debug)]
pub struct Setting {
    /// The telemetry of this process, which is the service `shop`.
    pub telemetry: Telemetry,
    /// The end of the route.
    pub prometheus: Prometheus,
    _collector: Option<Collector>,
}

impl Setting {
    /// Sets up the telemetry of this process, and starts the programs that the route needs.
    #[must_use]
    pub fn new(route: Route, form: Form, directory: &str) -> Self {
        let (telemetry, prometheus, collector) = match route {
            Route::Scrape => {
                let builder = builder().prometheus_address(([127, 0, 0, 1], 0).into());
                let telemetry = builder.metric_exporters([Exporter::Prometheus]).init().unwrap();
                let prometheus = prometheus(directory, form, telemetry.prometheus_address(), false);
                (telemetry, prometheus, None)
            }
            Route::Otlp => {
                let prometheus = prometheus(directory, form, None, false);
                let endpoint = format!("http://{}/api/v1/otlp", prometheus.address);
                (otlp(endpoint, Protocol::HttpProtobuf), prometheus, None)
            }
            Route::Collector(exporter) => {
                let program = install_collector(directory);
                let start = |target| Collector::start_for_prometheus(&program, exporter, target);
                let (collector, prometheus) = if exporter == "prometheus" {
                    // The exporter has no target.
                    let collector = start(([127, 0, 0, 1], 9).into());
                    let prometheus = prometheus(directory, form, Some(collector.metrics()), true);
                    (collector, prometheus)
                } else {
                    let prometheus = prometheus(directory, form, None, false);
                    (start(prometheus.address), prometheus)
                };
                let telemetry = otlp(collector.endpoint("grpc"), Protocol::Grpc);
                (telemetry, prometheus, Some(collector))
            }
        };
        Setting {
            telemetry,
            prometheus,
            _collector: collector,
        }
    }
}

fn builder() -> Builder {
    otel_setup::builder()
        .service_name("shop")
        .service_instance_id("shop-0")
        .trace_exporters([])
        .log_exporters([])
        .metric_export_interval(Duration::from_millis(300))
}

fn otlp(endpoint: String, protocol: Protocol) -> Telemetry {
    let builder = builder().otlp_endpoint(endpoint).otlp_protocol(protocol);
    builder.metric_exporters([Exporter::Otlp]).init().unwrap()
}

/// Starts a Prometheus as `examples/dashboards/README.md` configures it.
fn prometheus(directory: &str, form: Form, scraped: Option<SocketAddr>, is_collector: bool) -> Prometheus {
    let is_native = form == Form::Native;
    let job = scraped.map(|scraped| {
        json!({
            "job_name": if is_collector { "collector" } else { "shop" },
            "honor_labels": is_collector,
            "convert_classic_histograms_to_nhcb": is_native,
            "static_configs": [{"targets": [scraped]}],
        })
    });
    let configuration = json!({
        "rule_files": [RULES],
        "otlp": {"convert_histograms_to_nhcb": is_native},
        "scrape_configs": job.into_iter().collect::<Vec<_>>(),
    });
    let flags = [
        "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion",
        "--web.enable-otlp-receiver",
        "--web.enable-remote-write-receiver",
    ];
    Prometheus::configured(&Programs::install(directory), configuration, &flags)
}
