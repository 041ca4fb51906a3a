//! All telemetry of a program agrees with the conventions, or with our registry beside them.

use std::collections::BTreeSet;
use std::panic;
use std::time::Duration;

use integration_tests::client::{Kind, call};
use integration_tests::collector::{Collector, Content, Received, unused_address};
use integration_tests::conventions::{Conventions, Judge};
use integration_tests::kinds::Message;
use integration_tests::own_process::{block_on, in_own_process_with};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{RunningServer, TIMEOUT, serve, serve_with};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use otel_runtime::{ClientLayer, ServerLayer, TracedChannel};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;
use tower::Layer;

const OPT_IN: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";

/// The signals of a program that uses everything.
const ALL: [&str; 17] = [
    "event rpc.server.call.exception",
    "log record",
    "metric grpc.server.call.rcvd_total_compressed_message_size",
    "metric grpc.server.call.sent_total_compressed_message_size",
    "metric rpc.client.active_requests",
    "metric rpc.client.call.duration",
    "metric rpc.server.active_requests",
    "metric rpc.server.call.duration",
    "resource host",
    "resource os",
    "resource process",
    "resource service",
    "resource service.instance",
    "resource service.namespace",
    "resource telemetry.sdk",
    "span rpc.grpc.call.client",
    "span rpc.grpc.call.server",
];
/// Signals that `rpc/dup` adds.
const LEGACY: [&str; 6] = [
    "metric rpc.client.duration",
    "metric rpc.client.request.size",
    "metric rpc.client.response.size",
    "metric rpc.server.duration",
    "metric rpc.server.request.size",
    "metric rpc.server.response.size",
];

/// Disagreements that are not ours: OpenTelemetry's resource detector for Rust has no creation time.
const NOT_OURS: [&str; 1] = ["resource process: process.creation.time is missing"];

/// Makes RPCs of all kinds with all ends, to servers that are instrumented in all ways.
async fn make_rpcs() {
    let service = ScriptedService::default();
    let layer = ServerLayer::new();
    let full = layer.clone().message_sizes().request_headers(["x-tenant"]);
    let full = full.response_headers(["content-type"]).response_trailers(["x-last"]);
    let all_kinds = Kind::ALL.map(Kind::method);
    let servers = [
        serve(Annotated::routes(&service)).await,
        serve_with(
            Server::builder().layer(layer.known_methods(all_kinds)),
            Plain::routes(&service),
        )
        .await,
        serve_with(Server::builder().layer(full), Annotated::routes(&service)).await,
    ];
    for server in &servers {
        call_with_each_end(server, &service).await;
    }
    let refused = Endpoint::from_shared(format!("http://{}", unused_address())).unwrap();
    for target in ["greeter.example:1", "unix:/run/greeter.sock"] {
        let refused = ClientLayer::new(target).layer(refused.connect_lazy());
        call(refused, Kind::Unary, Request::new("")).await.unwrap_err();
    }
}

async fn call_with_each_end(server: &RunningServer, service: &ScriptedService) {
    let layer = ClientLayer::new("greeter.example:1").request_headers(["x-tenant"]);
    let channel = layer.response_headers(["content-type"]).layer(server.channel().await);
    let ends = ["echo", "5", "13", "panic", "torn", "later 13", "large"];
    for kind in Kind::ALL {
        for end in ends {
            let mut request = Request::new(end);
            request.metadata_mut().insert("x-tenant", "a".parse().unwrap());
            // Whatever the status is: the telemetry of all of them is judged.
            let _ = call(channel.clone(), kind, request).await;
        }
        let waiting = call(channel.clone(), kind, Request::new("wait"));
        tokio::select! { ended = waiting => panic!("{ended:?}"), () = service.waits() => {} }
        let mut late = Request::new("wait");
        late.set_timeout(Duration::from_millis(20));
        call(channel.clone(), kind, late).await.unwrap_err();
    }
    for unknown in ["/kinds.Unary/Unknown", "/unknown.Service/Call"] {
        call_path(channel.clone(), unknown).await.unwrap_err();
    }
}

async fn call_path(channel: TracedChannel, path: &'static str) -> Result<(), Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let codec = ProstCodec::<Message, Message>::default();
    let request = Request::new(Message::default());
    client.unary(request, PathAndQuery::from_static(path), codec).await?;
    Ok(())
}

/// Returns all messages that a program with these calls exports.
fn exported() -> Vec<Received> {
    let collector = Collector::start();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    block_on(async {
        let builder = otel_setup::builder().service_name("shop").service_namespace("tests");
        let builder = builder.service_version("1.2.3").otlp_endpoint(collector.url());
        let telemetry = builder.init().unwrap();
        make_rpcs().await;
        tracing::info!("made");
        telemetry.shutdown(TIMEOUT).await.unwrap();
    });
    panic::set_hook(hook);
    collector.received()
}

fn judged(conventions: &Conventions, with_legacy: bool) -> (Vec<String>, BTreeSet<String>) {
    let mut judge = Judge::new(conventions, with_legacy);
    exported().iter().for_each(|message| judge.message(message));
    (judge.findings.into_iter().collect(), judge.seen)
}

#[test]
fn all_telemetry_is_in_the_conventions_or_in_our_registry() {
    in_own_process_with::<&str>(&[], || {
        let conventions = Conventions::with_registry();
        let (findings, seen) = judged(&conventions, false);
        assert_eq!(findings, NOT_OURS);
        assert_eq!(seen, BTreeSet::from(ALL.map(str::to_owned)));
    });
}

#[test]
fn legacy_telemetry_is_in_the_conventions() {
    in_own_process_with(&[(OPT_IN, "rpc/dup")], || {
        let conventions = Conventions::with_registry();
        let (findings, seen) = judged(&conventions, true);
        assert_eq!(findings, NOT_OURS);
        let all = ALL.into_iter().chain(LEGACY).map(str::to_owned);
        assert_eq!(seen, all.collect());
    });
}

/// Returns the findings on an RPC's telemetry after it was changed.
fn findings_on(messages: &[Received], change: Change) -> Vec<String> {
    let conventions = Conventions::with_registry();
    let mut judge = Judge::new(&conventions, false);
    for message in messages {
        let mut message = message.clone();
        match (&mut message.content, change) {
            (Content::Traces(traces), Change::Span(change)) => {
                let spans = traces
                    .resource_spans
                    .iter_mut()
                    .flat_map(|resource| &mut resource.scope_spans);
                let spans = spans.flat_map(|scope| &mut scope.spans);
                spans.filter(|span| span.kind() == SpanKind::Server).for_each(change);
            }
            (Content::Metrics(metrics), Change::Metric(change)) => {
                let scopes = metrics
                    .resource_metrics
                    .iter_mut()
                    .flat_map(|resource| &mut resource.scope_metrics);
                let metrics = scopes.flat_map(|scope| &mut scope.metrics);
                metrics
                    .filter(|metric| metric.name == "rpc.server.call.duration")
                    .for_each(change);
            }
            (Content::Traces(traces), Change::Traces(change)) => traces.resource_spans.iter_mut().for_each(change),
            (Content::Logs(logs), Change::Log(change)) => {
                let scopes = logs
                    .resource_logs
                    .iter_mut()
                    .flat_map(|resource| &mut resource.scope_logs);
                scopes.flat_map(|scope| &mut scope.log_records).for_each(change);
            }
            _ => {}
        }
        judge.message(&message);
    }
    judge.findings.into_iter().collect()
}

#[derive(Clone, Copy)]
enum Change {
    Span(fn(&mut Span)),
    Metric(fn(&mut Metric)),
    Traces(fn(&mut ResourceSpans)),
    Log(fn(&mut LogRecord)),
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

/// Replaces an attribute, or adds it.
fn set(attributes: &mut Vec<KeyValue>, new: KeyValue) {
    remove(attributes, &new.key);
    attributes.push(new);
}

fn remove(attributes: &mut Vec<KeyValue>, key: &str) {
    attributes.retain(|attribute| attribute.key != key);
}

fn points(metric: &mut Metric) -> impl Iterator<Item = &mut Vec<KeyValue>> {
    let Some(Data::Histogram(histogram)) = &mut metric.data else {
        panic!("no histogram")
    };
    histogram.data_points.iter_mut().map(|point| &mut point.attributes)
}

/// Every kind of judgement, with a change of valid telemetry, and what is found then.
const CHANGES: [(Change, &str); 21] = [
    (
        Change::Span(|span| span.name = "call".to_owned()),
        "span rpc.grpc.call.server: its name is \"call\"",
    ),
    (
        Change::Span(|span| span.kind = SpanKind::Internal.into()),
        "kinds.Unary/Call: a span of kind Internal",
    ),
    (
        Change::Span(|span| span.status.get_or_insert_default().code = 2),
        "span rpc.grpc.call.server: its status is Error instead of Unset",
    ),
    (
        Change::Span(|span| set(&mut span.attributes, text("my.own", ""))),
        "span rpc.grpc.call.server: my.own is not in the conventions",
    ),
    (
        Change::Span(|span| set(&mut span.attributes, text("rpc.request.header.", ""))),
        "span rpc.grpc.call.server: rpc.request.header. is not in the conventions",
    ),
    (
        Change::Span(|span| set(&mut span.attributes, text("rpc.request.header.x", ""))),
        "span rpc.grpc.call.server: rpc.request.header.x is of type string instead of string[]",
    ),
    (
        Change::Span(|span| set(&mut span.attributes, text("server.port", "80"))),
        "span rpc.grpc.call.server: server.port is of type string instead of int",
    ),
    (
        Change::Span(|span| set(&mut span.attributes, text("rpc.system.name", "GRPC"))),
        "span rpc.grpc.call.server: rpc.system.name has no member \"GRPC\"",
    ),
    (
        Change::Span(|span| set(&mut span.attributes, text("rpc.system.name", "dubbo"))),
        "span rpc.grpc.call.server: rpc.system.name has no member \"dubbo\"",
    ),
    (
        Change::Span(|span| set(&mut span.attributes, text("rpc.status_code", "0"))),
        "span rpc.grpc.call.server: rpc.status_code has no member \"0\"",
    ),
    (
        Change::Span(|span| remove(&mut span.attributes, "rpc.status_code")),
        "span rpc.grpc.call.server: rpc.status_code is missing",
    ),
    (
        Change::Span(|span| set(&mut span.attributes, text("error.type", "OK"))),
        "span rpc.grpc.call.server: error.type is there without its condition",
    ),
    (
        Change::Span(|span| set(&mut span.attributes, text("rpc.service", "kinds.Unary"))),
        "span rpc.grpc.call.server: rpc.service is deprecated",
    ),
    (
        Change::Metric(|metric| metric.name = "rpc.server.calls".to_owned()),
        "metric rpc.server.calls: is not in the conventions",
    ),
    (
        Change::Metric(|metric| metric.name = "rpc.server.duration".to_owned()),
        "metric rpc.server.duration: is deprecated",
    ),
    (
        Change::Metric(|metric| metric.unit = "ms".to_owned()),
        "metric rpc.server.call.duration: its unit is \"ms\"",
    ),
    (
        Change::Metric(|metric| metric.data = Some(Data::Gauge(Gauge::default()))),
        "metric rpc.server.call.duration: it is a gauge",
    ),
    (
        Change::Metric(|metric| points(metric).for_each(|point| set(point, text("network.peer.address", "::1")))),
        "metric rpc.server.call.duration: network.peer.address is not one of its attributes",
    ),
    (
        Change::Traces(|spans| spans.scope_spans.iter_mut().for_each(|scope| scope.schema_url.clear())),
        "scope: the schema URL is \"\"",
    ),
    (
        Change::Traces(|spans| set(&mut spans.resource.as_mut().unwrap().attributes, text("my.own", ""))),
        "resource: my.own is in no part of it",
    ),
    (
        Change::Log(|record| record.event_name = "panic".to_owned()),
        "event panic: is not in the conventions",
    ),
];

#[test]
fn each_kind_of_disagreement_is_found() {
    in_own_process_with::<&str>(&[], || {
        let messages = exported();
        for (change, finding) in CHANGES {
            let findings = findings_on(&messages, change);
            assert!(
                findings.iter().any(|found| found == finding),
                "{finding:?} is not among {findings:#?}"
            );
        }
    });
}
