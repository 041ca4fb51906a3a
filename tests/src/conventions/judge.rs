//! Compares OTLP messages with the conventions.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::otlp::{instrument, text_of, type_of};
use super::{Attribute, Conventions, Definition, VERSION};
use crate::collector::{Content, Received};

const SCOPE: &str = "otel-runtime";

/// Judges messages, and remembers what disagrees with the conventions.
#[derive(Debug)]
pub struct Judge<'c> {
    conventions: &'c Conventions,
    /// Whether the environment variable of the conventions asks for deprecated names, too.
    with_legacy: bool,
    /// Each disagreement, once.
    pub findings: BTreeSet<String>,
    /// The signals that were judged, such as `metric rpc.server.call.duration`.
    pub seen: BTreeSet<String>,
}

impl<'c> Judge<'c> {
    /// Creates a judge that has seen nothing.
    #[must_use]
    pub fn new(conventions: &'c Conventions, with_legacy: bool) -> Self {
        Judge {
            conventions,
            with_legacy,
            findings: BTreeSet::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Judges the contents of a message.
    pub fn message(&mut self, message: &Received) {
        match &message.content {
            Content::Traces(traces) => {
                for traces in &traces.resource_spans {
                    self.resource(traces.resource.as_ref().unwrap());
                    for scope in &traces.scope_spans {
                        self.scope(scope.scope.as_ref().unwrap(), &scope.schema_url);
                        scope.spans.iter().for_each(|span| self.span(span));
                    }
                }
            }
            Content::Metrics(metrics) => {
                for metrics in &metrics.resource_metrics {
                    self.resource(metrics.resource.as_ref().unwrap());
                    for scope in &metrics.scope_metrics {
                        self.scope(scope.scope.as_ref().unwrap(), &scope.schema_url);
                        scope.metrics.iter().for_each(|metric| self.metric(metric));
                    }
                }
            }
            Content::Logs(logs) => {
                for logs in &logs.resource_logs {
                    self.resource(logs.resource.as_ref().unwrap());
                    let records = logs.scope_logs.iter().flat_map(|scope| &scope.log_records);
                    records.for_each(|record| self.log_record(record));
                }
            }
        }
    }

    fn find(&mut self, place: &str, finding: impl std::fmt::Display) {
        self.findings.insert(format!("{place}: {finding}"));
    }

    fn scope(&mut self, scope: &InstrumentationScope, schema_url: &str) {
        let expected = format!("https://opentelemetry.io/schemas/{VERSION}");
        if scope.name == SCOPE && schema_url != expected {
            self.find("scope", format_args!("the schema URL is {schema_url:?}"));
        }
    }

    /// Judges an RPC's span.
    pub fn span(&mut self, span: &Span) {
        let side = match span.kind() {
            SpanKind::Client => "client",
            SpanKind::Server => "server",
            other => return self.find(&span.name, format_args!("a span of kind {other:?}")),
        };
        let place = format!("span rpc.grpc.call.{side}");
        self.seen.insert(place.clone());
        let attribute = |name: &str| text_of(&span.attributes, name);
        let method = attribute("rpc.method").unwrap_or_default();
        let name = if method == "_OTHER" {
            attribute("rpc.system.name")
        } else {
            Some(method)
        };
        if name != Some(&span.name) {
            self.find(&place, format_args!("its name is {:?}", span.name));
        }
        let has_failed = self.has_failed(side, attribute("rpc.status_code"));
        let status = span.status.clone().unwrap_or_default().code();
        let expected = if has_failed {
            StatusCode::Error
        } else {
            StatusCode::Unset
        };
        if status != expected {
            self.find(&place, format_args!("its status is {status:?} instead of {expected:?}"));
        }
        let conventions = self.conventions;
        let definition = conventions.definition("span", &format!("rpc.grpc.call.{side}"));
        self.attributes(&place, definition, &span.attributes, has_failed);
    }

    /// Judges a metric, with all its data points.
    pub fn metric(&mut self, metric: &Metric) {
        let place = format!("metric {}", metric.name);
        let conventions = self.conventions;
        let Some(definition) = conventions.definition("metric", &metric.name) else {
            return self.find(&place, "is not in the conventions");
        };
        if definition.stability == "deprecated" && !self.with_legacy {
            self.find(&place, "is deprecated");
        }
        if metric.unit != definition.unit {
            self.find(&place, format_args!("its unit is {:?}", metric.unit));
        }
        let (instrument, points) = instrument(metric.data.as_ref().unwrap());
        if instrument != definition.form {
            self.find(&place, format_args!("it is a {instrument}"));
        }
        if !points.is_empty() {
            self.seen.insert(place.clone());
        }
        let side = if metric.name.contains(".client.") {
            "client"
        } else {
            "server"
        };
        for attributes in points {
            let has_failed = self.has_failed(side, text_of(attributes, "rpc.status_code"));
            self.attributes(&place, Some(definition), attributes, has_failed);
        }
    }

    /// Judges a log record, which is an event if it has a name.
    pub fn log_record(&mut self, record: &LogRecord) {
        if record.event_name.is_empty() {
            self.seen.insert("log record".to_owned());
            return self.attributes("log record", None, &record.attributes, false);
        }
        let place = format!("event {}", record.event_name);
        self.seen.insert(place.clone());
        let conventions = self.conventions;
        let definition = conventions.definition("event", &record.event_name);
        if definition.is_none() {
            self.find(&place, "is not in the conventions");
        }
        self.attributes(&place, definition, &record.attributes, false);
    }

    /// Judges a resource, which must have a service and an SDK.
    pub fn resource(&mut self, resource: &Resource) {
        let conventions = self.conventions;
        let mut known = BTreeSet::new();
        let parts = conventions
            .definitions
            .iter()
            .filter(|((signal, _), _)| signal == "resource");
        for ((_, name), part) in parts {
            let found: Vec<KeyValue> = resource
                .attributes
                .iter()
                .filter(|it| part.attributes.contains_key(&it.key))
                .cloned()
                .collect();
            known.extend(found.iter().map(|found| found.key.clone()));
            if !found.is_empty() || ["service", "service.instance", "telemetry.sdk"].contains(&&**name) {
                self.seen.insert(format!("resource {name}"));
                self.attributes(&format!("resource {name}"), Some(part), &found, false);
            }
        }
        for unknown in resource.attributes.iter().filter(|it| !known.contains(&it.key)) {
            self.find("resource", format_args!("{} is in no part of it", unknown.key));
        }
    }

    fn has_failed(&self, side: &str, code: Option<&str>) -> bool {
        let failures = &self.conventions.failures[side];
        code.is_some_and(|code| failures.iter().any(|failure| failure == code))
    }

    fn attributes(&mut self, place: &str, definition: Option<&Definition>, attributes: &[KeyValue], has_failed: bool) {
        let conventions = self.conventions;
        for KeyValue { key, value, .. } in attributes {
            let Some((name, fact)) = conventions.attribute(key) else {
                self.find(place, format_args!("{key} is not in the conventions"));
                continue;
            };
            let value = value.as_ref().unwrap();
            if fact.stability == "deprecated" && !self.with_legacy {
                self.find(place, format_args!("{key} is deprecated"));
            }
            self.value(place, key, fact, value);
            let Some(definition) = definition else { continue };
            let Some(used) = definition.attributes.get(name) else {
                self.find(place, format_args!("{key} is not one of its attributes"));
                continue;
            };
            self.member(place, key, &used.members, value);
        }
        if let Some(definition) = definition {
            self.levels(place, definition, attributes, has_failed);
        }
    }

    /// Judges which attributes are there.
    fn levels(&mut self, place: &str, definition: &Definition, attributes: &[KeyValue], has_failed: bool) {
        let is_other = text_of(attributes, "rpc.method") == Some("_OTHER");
        for (name, used) in &definition.attributes {
            let must_be_there = match &*used.level {
                "required" => true,
                "legacy_required" if self.with_legacy => true,
                "if_failed" => has_failed,
                "if_different" => is_other,
                "if_available" | "recommended" | "opt_in" | "legacy" | "legacy_required" => continue,
                other => panic!("unknown level {other}"),
            };
            let is_there = attributes.iter().any(|attribute| attribute.key == *name);
            if must_be_there && !is_there {
                self.find(place, format_args!("{name} is missing"));
            }
            // Only a condition rules an attribute out.
            if is_there && !must_be_there {
                self.find(place, format_args!("{name} is there without its condition"));
            }
        }
    }

    fn value(&mut self, place: &str, key: &str, fact: &Attribute, value: &AnyValue) {
        let found = type_of(value);
        if found != fact.value {
            self.find(
                place,
                format_args!("{key} is of type {found} instead of {}", fact.value),
            );
        }
        self.member(place, key, &fact.members, value);
    }

    fn member(&mut self, place: &str, key: &str, members: &[String], value: &AnyValue) {
        let found = match &value.value {
            Some(Value::StringValue(text)) => text.clone(),
            Some(Value::IntValue(number)) => number.to_string(),
            _ => return,
        };
        if !members.is_empty() && !members.contains(&found) {
            self.find(place, format_args!("{key} has no member {found:?}"));
        }
    }
}
