//! The JSON of spans.

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry_sdk::Resource as SdkResource;
use opentelemetry_sdk::trace::SpanData;
use serde::Serialize;

use super::objects::{Lines, Resource, Scope, is_zero, lines, span_id, trace_id};
use super::values::Attributes;
use crate::text::time;

pub(crate) fn spans(spans: &[SpanData], resource: &SdkResource) -> Lines {
    lines(spans.iter().map(|span| Span::new(span, resource)))
}

/// Returns the JSON of one span. A running one has no end.
#[cfg(feature = "zpages")]
pub(crate) fn span<'a>(span: &'a SpanData, resource: &'a SdkResource, is_running: bool) -> impl Serialize + 'a {
    let mut json = Span::new(span, resource);
    if is_running {
        json.end_time = None;
    }
    json
}

#[derive(Serialize)]
struct Span<'a> {
    name: &'a str,
    context: Context,
    kind: &'static str,
    parent_id: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
    status: SpanStatus<'a>,
    attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
    events: Vec<SpanEvent<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_events_count: u32,
    links: Vec<SpanLink<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_links_count: u32,
    resource: Resource<'a>,
    scope: Scope<'a>,
}

#[derive(Serialize)]
struct Context {
    trace_id: String,
    span_id: String,
    trace_state: String,
}

#[derive(Serialize)]
struct SpanStatus<'a> {
    status_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

#[derive(Serialize)]
struct SpanEvent<'a> {
    name: &'a str,
    timestamp: Option<String>,
    attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
}

#[derive(Serialize)]
struct SpanLink<'a> {
    context: Context,
    attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
}

impl<'a> Span<'a> {
    fn new(span: &'a SpanData, resource: &'a SdkResource) -> Self {
        Span {
            name: &span.name,
            context: Context::new(&span.span_context),
            kind: match span.span_kind {
                SpanKind::Client => "SpanKind.CLIENT",
                SpanKind::Server => "SpanKind.SERVER",
                SpanKind::Producer => "SpanKind.PRODUCER",
                SpanKind::Consumer => "SpanKind.CONSUMER",
                SpanKind::Internal => "SpanKind.INTERNAL",
            },
            parent_id: (span.parent_span_id != SpanId::INVALID).then(|| span_id(span.parent_span_id)),
            start_time: time(span.start_time),
            end_time: time(span.end_time),
            status: SpanStatus::new(&span.status),
            attributes: span.attributes.iter().collect(),
            dropped_attributes_count: span.dropped_attributes_count,
            events: span.events.iter().map(SpanEvent::new).collect(),
            dropped_events_count: span.events.dropped_count,
            links: span.links.iter().map(SpanLink::new).collect(),
            dropped_links_count: span.links.dropped_count,
            resource: Resource::new(resource),
            scope: Scope::new(&span.instrumentation_scope),
        }
    }
}

impl Context {
    fn new(context: &SpanContext) -> Self {
        Context {
            trace_id: trace_id(context.trace_id()),
            span_id: span_id(context.span_id()),
            trace_state: context.trace_state().header(),
        }
    }
}

impl<'a> SpanStatus<'a> {
    fn new(status: &'a Status) -> Self {
        let (status_code, description) = match status {
            Status::Unset => ("UNSET", None),
            Status::Ok => ("OK", None),
            Status::Error { description } => ("ERROR", Some(description.as_ref())),
        };
        SpanStatus {
            status_code,
            description: description.filter(|description| !description.is_empty()),
        }
    }
}

impl<'a> SpanEvent<'a> {
    fn new(event: &'a Event) -> Self {
        SpanEvent {
            name: &event.name,
            timestamp: time(event.timestamp),
            attributes: event.attributes.iter().collect(),
            dropped_attributes_count: event.dropped_attributes_count,
        }
    }
}

impl<'a> SpanLink<'a> {
    fn new(link: &'a Link) -> Self {
        SpanLink {
            context: Context::new(&link.span_context),
            attributes: link.attributes.iter().collect(),
            dropped_attributes_count: link.dropped_attributes_count,
        }
    }
}
