//! The parts of the JSON that all three signals share.

use opentelemetry::{InstrumentationScope, SpanId, TraceId};
use opentelemetry_sdk::Resource as SdkResource;
use serde::Serialize;

use super::values::Attributes;
use crate::json_line::json_line;

pub(super) type Lines = Result<String, serde_json::Error>;

/// Formats each object on its own line.
pub(super) fn lines<T: Serialize>(objects: impl IntoIterator<Item = T>) -> Lines {
    let mut lines = String::new();
    for object in objects {
        lines.push_str(&json_line(&object)?);
        lines.push('\n');
    }
    Ok(lines)
}

/// Formats a trace id as OpenTelemetry's documentation does.
pub(super) fn trace_id(id: TraceId) -> String {
    format!("0x{id}")
}

pub(super) fn span_id(id: SpanId) -> String {
    format!("0x{id}")
}

#[derive(Serialize)]
pub(super) struct Resource<'a> {
    attributes: Attributes<'a>,
    schema_url: &'a str,
}

impl<'a> Resource<'a> {
    pub(super) fn new(resource: &'a SdkResource) -> Self {
        Resource {
            attributes: resource.iter().collect(),
            schema_url: resource.schema_url().unwrap_or_default(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Scope<'a> {
    name: &'a str,
    version: &'a str,
    schema_url: &'a str,
    attributes: Attributes<'a>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(scope: &'a InstrumentationScope) -> Self {
        Scope {
            name: scope.name(),
            version: scope.version().unwrap_or_default(),
            schema_url: scope.schema_url().unwrap_or_default(),
            attributes: scope.attributes().collect(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "for `skip_serializing_if`")]
pub(super) fn is_zero(count: &u32) -> bool {
    *count == 0
}
