//! Telemetry as JSON, one object a line. The fields are in the module's documentation.

mod logs;
mod metrics;
mod spans;
mod values;

pub(super) use logs::logs;
pub(super) use metrics::metrics;
pub(super) use spans::spans;
pub(super) use values::value;

use opentelemetry::{InstrumentationScope, SpanId, TraceId};
use opentelemetry_sdk::Resource as SdkResource;
use serde::Serialize;

use values::Attributes;

type Lines = Result<String, serde_json::Error>;

/// Each on a line.
fn lines<T: Serialize>(objects: impl IntoIterator<Item = T>) -> Lines {
    let mut lines = String::new();
    for object in objects {
        lines.push_str(&serde_json::to_string(&object)?);
        lines.push('\n');
    }
    Ok(lines)
}

/// As the documentation of OpenTelemetry writes it.
fn trace_id(id: TraceId) -> String {
    format!("0x{id}")
}

fn span_id(id: SpanId) -> String {
    format!("0x{id}")
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Attributes<'a>,
    schema_url: &'a str,
}

impl<'a> Resource<'a> {
    fn new(resource: &'a SdkResource) -> Self {
        Resource {
            attributes: resource.iter().collect(),
            schema_url: resource.schema_url().unwrap_or_default(),
        }
    }
}

#[derive(Serialize)]
struct Scope<'a> {
    name: &'a str,
    version: &'a str,
    schema_url: &'a str,
    attributes: Attributes<'a>,
}

impl<'a> Scope<'a> {
    fn new(scope: &'a InstrumentationScope) -> Self {
        Scope {
            name: scope.name(),
            version: scope.version().unwrap_or_default(),
            schema_url: scope.schema_url().unwrap_or_default(),
            attributes: scope.attributes().collect(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "for `skip_serializing_if`")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}
