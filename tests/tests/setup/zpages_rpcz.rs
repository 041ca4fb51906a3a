//! `/debug/rpcz`: counts, rates and quantiles of RPCs, sampled or not.

use std::time::Duration;

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::own_process::{block_on, in_own_process, in_own_process_with};
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::serve;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::trace::Sampler;
use otel_runtime::TracedChannel;
use otel_setup::Exporter;
use tonic::transport::Endpoint;

use crate::zpages::{Pages, texts};

#[test]
fn rpcs_are_counted_sampled_or_not_whoever_reads_the_metrics() {
    for exporter in ["none", "prometheus", "console", "otlp"] {
        let body = async {
            let exporters = match exporter {
                "prometheus" => vec![Exporter::Prometheus],
                "console" => vec![Exporter::Console],
                "otlp" => vec![Exporter::Otlp],
                _ => vec![],
            };
            let pages = Pages::with(|setup| {
                setup
                    .sampler(Sampler::AlwaysOff)
                    .metric_exporters(exporters)
                    .prometheus_address("127.0.0.1:0".parse().unwrap())
            });
            assert_eq!(texts(&pages.html("/debug/rpcz"), "h2"), [] as [&str; 0]);
            let server = serve(Annotated::routes(&ScriptedService::default())).await;
            let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
            let mut client = UnaryClient::new(TracedChannel::connect(endpoint).await.unwrap());
            for text in ["a", "b", "c", "5"] {
                let _ = client.call(Message::from(text)).await;
            }
            let page = pages.html("/debug/rpcz");
            assert_eq!(texts(&page, "h2"), ["Server", "Client"]);
            assert_eq!(texts(&page, "tbody th"), ["kinds.Unary/Call"; 2]);
            let cells = texts(&page, "tbody td");
            assert_eq!(cells.len(), 2 * 3 * 6);
            for window in cells.chunks(6) {
                assert_eq!(window[..2], ["4", "1"], "{cells:?}");
                let rate: f64 = window[2].parse().unwrap();
                assert!(rate > 0.0, "{cells:?}");
                assert!(window[3..].iter().all(|quantile| quantile.ends_with('s')), "{cells:?}");
            }
            assert!(pages.row("kinds.Unary/Call", "server").is_null(), "no span is recorded");
            // Nobody receives the metrics.
            let _ = pages.telemetry.shutdown(Duration::ZERO).await;
        };
        in_own_process_with(&[("CASE", exporter)], || block_on(body));
    }
}

/// The quantiles are those of the boundaries that all histograms of the name have.
#[test]
fn histograms_with_other_boundaries_are_counted() {
    in_own_process(|| {
        let pages = Pages::with(|setup| setup.metric_exporters([]));
        let method = [KeyValue::new("rpc.method", "shop.Shop/Order")];
        for (scope, bounds, values) in [
            ("a", &[1.0, 2.0, 4.0][..], &[0.5, 1.5][..]),
            ("b", &[2.0, 3.0], &[2.5, 2.5, 2.5]),
        ] {
            let meter = global::meter(scope);
            let histogram = meter.f64_histogram("rpc.server.call.duration");
            let histogram = histogram.with_boundaries(bounds.to_vec()).build();
            for value in values {
                histogram.record(*value, &method);
            }
        }
        let cells = texts(&pages.html("/debug/rpcz"), "tbody td");
        assert_eq!(cells.len(), 3 * 6);
        for window in cells.chunks(6) {
            assert_eq!([&window[0], &window[3]], ["5", "2.0s"], "{cells:?}");
        }
    });
}

#[test]
fn boundaries_beyond_any_duration_are_shown_as_the_longest() {
    in_own_process(|| {
        let pages = Pages::with(|setup| setup.metric_exporters([]));
        for (method, bound) in [("a", 1e300), ("b", f64::MAX), ("c", 2.0)] {
            let meter = global::meter(method);
            let histogram = meter.f64_histogram("rpc.server.call.duration");
            let histogram = histogram.with_boundaries(vec![1.0, bound]).build();
            histogram.record(2.0, &[KeyValue::new("rpc.method", method)]);
        }
        let cells = texts(&pages.html("/debug/rpcz"), "tbody td");
        let medians: Vec<&str> = cells.chunks(18).map(|line| line[3].as_str()).collect();
        let longest = "213503982334601d 07h";
        assert_eq!(medians, [longest, longest, "1.5s"]);
    });
}
