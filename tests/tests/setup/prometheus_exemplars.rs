//! Exemplars: each bucket of a call's duration names the span of the last call in it.

use examples::helloworld::HelloRequest;
use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::greeter_server::GreeterServer;
use integration_tests::client::connect;
use integration_tests::http;
use integration_tests::own_process::{block_on, in_own_process_with};
use integration_tests::server::serve;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SpanData};
use otel_setup::Exporter;
use tonic::service::Routes;

use crate::prometheus::{MyGreeter, OPEN_METRICS};

const FILTER: &str = "OTEL_METRICS_EXEMPLAR_FILTER";

/// Makes calls, and returns the spans and the text of a scrape.
async fn calls(sampler: Sampler, accept: &'static str) -> (Vec<SpanData>, String) {
    let exporter = InMemorySpanExporter::default();
    let spans = exporter.clone();
    let telemetry = otel_setup::builder()
        .trace_exporters([])
        .metric_exporters([Exporter::Prometheus])
        .log_exporters([])
        .prometheus_address("127.0.0.1:0".parse().unwrap())
        .sampler(sampler)
        .configure_tracer_provider(|provider| provider.with_simple_exporter(exporter))
        .init()
        .unwrap();
    let server = serve(Routes::new(GreeterServer::new(MyGreeter))).await;
    let mut client = GreeterClient::new(connect(&server).await);
    for name in ["Ada", "Bob", ""] {
        let _ = client.say_hello(HelloRequest { name: name.into() }).await;
    }
    let address = telemetry.prometheus_address().unwrap();
    let accept = format!("Accept: {accept}\r\n");
    let scrape = tokio::task::spawn_blocking(move || http::send_with(address, "GET /metrics", &accept));
    let (_, text) = scrape.await.unwrap();
    (spans.get_finished_spans().unwrap(), String::from_utf8(text).unwrap())
}

/// Returns the exemplars in the buckets of a metric and a status code, as they are written.
fn exemplars<'t>(text: &'t str, metric: &str, code: &str) -> Vec<&'t str> {
    let code = format!("rpc_status_code=\"{code}\"");
    let buckets = text
        .lines()
        .filter(|line| line.starts_with(&format!("{metric}_bucket{{")) && line.contains(&code));
    buckets.filter_map(|line| Some(line.split_once(" # ")?.1)).collect()
}

#[test]
fn buckets_name_the_last_sampled_call_in_them() {
    in_own_process_with(&[(FILTER, "")], || {
        let (spans, text) = block_on(calls(Sampler::AlwaysOn, OPEN_METRICS));
        for (metric, kind) in [
            ("rpc_server_call_duration_seconds", SpanKind::Server),
            ("rpc_client_call_duration_seconds", SpanKind::Client),
        ] {
            let of_kind: Vec<_> = spans.iter().filter(|span| span.span_kind == kind).collect();
            assert_eq!(of_kind.len(), 3);
            for (code, calls) in [("OK", &of_kind[..2]), ("INTERNAL", &of_kind[2..])] {
                let found = exemplars(&text, metric, code);
                // Both calls may be in one bucket.
                assert!((1..=calls.len()).contains(&found.len()), "{text}");
                for exemplar in found {
                    let span = calls
                        .iter()
                        .find(|span| exemplar.contains(&span.span_context.span_id().to_string()));
                    let span = span.unwrap_or_else(|| panic!("{exemplar} of {calls:#?}"));
                    let seconds = span.end_time.duration_since(span.start_time).unwrap().as_secs_f64();
                    let end = span.end_time.duration_since(std::time::UNIX_EPOCH).unwrap();
                    let expected = format!(
                        "{{trace_id=\"{}\",span_id=\"{}\"}} {seconds:?} {}.{:03}",
                        span.span_context.trace_id(),
                        span.span_context.span_id(),
                        end.as_secs(),
                        end.subsec_millis()
                    );
                    assert_eq!(exemplar, expected);
                }
                // The last call of a bucket wins.
                let last = calls.last().unwrap().span_context.span_id().to_string();
                assert!(text.contains(&last), "{text}");
            }
        }
    });
}

#[test]
fn the_filter_selects_the_calls() {
    for (filter, sampler, accept, count) in [
        ("trace_based", Sampler::AlwaysOn, OPEN_METRICS, 1),
        ("TRACE_BASED", Sampler::AlwaysOff, OPEN_METRICS, 0),
        ("always_on", Sampler::AlwaysOff, OPEN_METRICS, 1),
        ("always_off", Sampler::AlwaysOn, OPEN_METRICS, 0),
        // Text 0.0.4 has no exemplars.
        ("trace_based", Sampler::AlwaysOn, "text/plain", 0),
    ] {
        // A second variable distinguishes the processes.
        in_own_process_with(&[(FILTER, filter), ("ACCEPT", accept)], || {
            let (_, text) = block_on(calls(sampler, accept));
            assert_eq!(
                exemplars(&text, "rpc_server_call_duration_seconds", "INTERNAL").len(),
                count,
                "{text}"
            );
        });
    }
}
