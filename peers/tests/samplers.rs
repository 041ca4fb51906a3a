//! Samplers in a chain of three processes: a Collector and Jaeger get whole traces or none, and the
//! metrics count all calls.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use integration_tests::child::DrivenProcess;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::own_process::in_own_process_with;
use integration_tests::rpc::request;
use integration_tests::server::TIMEOUT;
use otel_runtime::TracedChannel;
use peers::backends::{Collector, Jaeger, Receiver, install_collector, install_jaeger, spans, wait_for};
use tonic::transport::Endpoint;

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");
const CALLS: usize = 200;
/// The spans of a call: of the caller, two of the shop, and of the cashier.
const SPANS: usize = 4;
/// The traces that are sampled at a ratio of a half: all but one in a billion runs have so many.
const HALF: RangeInclusive<usize> = 57..=143;

/// A sampler: the values of `OTEL_TRACES_SAMPLER` and of `OTEL_TRACES_SAMPLER_ARG`.
type Sampler = (&'static str, &'static str);

/// The samplers of the caller and of both services, and how many traces there are.
const SAMPLERS: [(Sampler, Sampler, RangeInclusive<usize>); 5] = [
    (
        ("parentbased_traceidratio", "0.5"),
        ("parentbased_traceidratio", "0.5"),
        HALF,
    ),
    // The caller decides, whatever the services would do with traces of their own.
    (
        ("parentbased_traceidratio", "0.5"),
        ("parentbased_always_off", ""),
        HALF,
    ),
    (("always_on", ""), ("parentbased_traceidratio", "0.1"), CALLS..=CALLS),
    (("always_off", ""), ("parentbased_always_on", ""), 0..=0),
    // Without a parent's word, each decides by the trace's ID, and so alike.
    (("traceidratio", "0.5"), ("traceidratio", "0.5"), HALF),
];

/// Runs the body in a process with a sampler, for the row of this number.
fn in_caller(row: usize, body: impl FnOnce()) {
    let ((sampler, argument), ..) = SAMPLERS[row];
    let row = row.to_string();
    let variables = [
        ("OTEL_TRACES_SAMPLER", sampler),
        ("OTEL_TRACES_SAMPLER_ARG", argument),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("ROW", &*row),
    ];
    in_own_process_with(&variables, body);
}

/// Makes the calls, and waits until all three processes have exported their telemetry.
///
/// `others` is the exporter of metrics and log records: `otlp` or `none`.
fn make_calls(row: usize, endpoint: &str, others: &str) {
    let (_, (sampler, argument), _) = SAMPLERS[row];
    let hop = |service: &str, next: &[&str]| {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_METRICS_EXPORTER", others),
            ("OTEL_LOGS_EXPORTER", others),
            ("OTEL_SERVICE_NAME", service),
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
            ("RUST_LOG", "off"),
        ];
        DrivenProcess::start(env!("CARGO_BIN_EXE_hop"), next, variables)
    };
    let (cashier, address) = hop("cashier", &[]);
    let (shop, address) = hop("shop", &[&address]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let builder = otel_setup::builder().service_name("caller").otlp_endpoint(endpoint);
        let telemetry = builder.init().unwrap();
        let shop = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut shop = UnaryClient::new(TracedChannel::connect(shop).await.unwrap());
        for _ in 0..CALLS {
            shop.call(request("apple")).await.unwrap();
        }
        // Jaeger accepts no metrics and no log records.
        let _ = telemetry.shutdown(TIMEOUT).await;
    });
    // The processes export the rest when they end.
    for process in [shop, cashier] {
        drop(process.end());
    }
}

#[test]
fn a_collector_gets_whole_traces_and_all_metrics() {
    let program = install_collector(DIRECTORY);
    for (row, (.., expected)) in SAMPLERS.into_iter().enumerate() {
        in_caller(row, || {
            let mut collector = Collector::start(&program);
            make_calls(row, &collector.endpoint("grpc"), "otlp");
            let calls: f64 = u32::try_from(CALLS).unwrap().into();
            for (metric, services) in [
                ("rpc_server_call_duration_seconds_count", ["shop", "cashier"]),
                ("rpc_client_call_duration_seconds_count", ["caller", "shop"]),
            ] {
                let counts = BTreeMap::from(services.map(|service| ([service.to_owned()], calls)));
                wait_for(collector.metrics(), metric, None, ["job"], &counts);
            }
            let mut traces: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            let spans = collector.ended("traces", spans);
            for span in &spans {
                let ids = traces.entry(span["traceId"].to_string()).or_default();
                assert!(ids.insert(span["spanId"].to_string()), "{span} arrived twice");
            }
            assert!(expected.contains(&traces.len()), "{} traces", traces.len());
            let whole = traces.values().all(|spans| spans.len() == SPANS);
            assert!(whole, "{traces:#?}");
        });
    }
}

#[test]
fn jaeger_gets_whole_traces() {
    let program = install_jaeger(DIRECTORY);
    in_caller(0, || {
        let jaeger = Jaeger::start(&program);
        make_calls(0, &jaeger.endpoint, "none");
        let traces = jaeger.search(&[("service", "caller")]);
        assert!(HALF.contains(&traces.len()), "{} traces", traces.len());
        for service in ["shop", "cashier"] {
            jaeger.wait_for(&[("service", service)], traces.len());
        }
        for trace in traces {
            let id = trace["traceID"].as_str().unwrap();
            let trace = &jaeger.api(&format!("traces/{id}"))[0];
            let processes = trace["processes"].as_object().unwrap().values();
            let services: BTreeSet<_> = processes.map(|process| process["serviceName"].to_string()).collect();
            assert_eq!(services.len(), 3, "{services:?}");
            assert_eq!(trace["spans"].as_array().unwrap().len(), SPANS);
        }
    });
}
