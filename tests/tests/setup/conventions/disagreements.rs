//! Telemetry that disagrees with the conventions is found.

use integration_tests::collector::{Content, Received};
use integration_tests::conventions::{Conventions, Judge};
use integration_tests::own_process::in_own_process;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};

use super::exported;

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
        Change::Span(|span| span.name = "call".into()),
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
        Change::Metric(|metric| metric.name = "rpc.server.calls".into()),
        "metric rpc.server.calls: is not in the conventions",
    ),
    (
        Change::Metric(|metric| metric.name = "rpc.server.duration".into()),
        "metric rpc.server.duration: is deprecated",
    ),
    (
        Change::Metric(|metric| metric.unit = "ms".into()),
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
        Change::Log(|record| record.event_name = "panic".into()),
        "event panic: is not in the conventions",
    ),
];

#[test]
fn each_kind_of_disagreement_is_found() {
    in_own_process(|| {
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
