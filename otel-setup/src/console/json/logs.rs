//! The JSON of log records.

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource as SdkResource;
use opentelemetry_sdk::logs::{LogBatch, SdkLogRecord};
use serde::Serialize;

use super::objects::{Lines, Resource, Scope, lines, span_id, trace_id};
use super::values::{AnyJson, Attributes};
use crate::text::time;

pub(crate) fn logs(batch: &LogBatch<'_>, resource: &SdkResource) -> Lines {
    lines(batch.iter().map(|(record, scope)| Record::new(record, scope, resource)))
}

#[derive(Serialize)]
struct Record<'a> {
    timestamp: Option<String>,
    observed_timestamp: Option<String>,
    severity_text: &'a str,
    severity_number: Option<u8>,
    event_name: &'a str,
    target: &'a str,
    body: Option<AnyJson<'a>>,
    attributes: Attributes<'a>,
    trace_id: Option<String>,
    span_id: Option<String>,
    trace_flags: Option<u8>,
    resource: Resource<'a>,
    scope: Scope<'a>,
}

impl<'a> Record<'a> {
    fn new(record: &'a SdkLogRecord, scope: &'a InstrumentationScope, resource: &'a SdkResource) -> Self {
        let context = record.trace_context();
        Record {
            timestamp: record.timestamp().and_then(time),
            observed_timestamp: record.observed_timestamp().and_then(time),
            severity_text: record.severity_text().unwrap_or_default(),
            severity_number: record.severity_number().map(|severity| severity as u8),
            event_name: record.event_name().unwrap_or_default(),
            target: record.target().map_or("", AsRef::as_ref),
            body: record.body().map(AnyJson),
            attributes: record.attributes_iter().map(|(key, value)| (key, value)).collect(),
            trace_id: context.map(|context| trace_id(context.trace_id)),
            span_id: context.map(|context| span_id(context.span_id)),
            trace_flags: context.and_then(|context| Some(context.trace_flags?.to_u8())),
            resource: Resource::new(resource),
            scope: Scope::new(scope),
        }
    }
}
