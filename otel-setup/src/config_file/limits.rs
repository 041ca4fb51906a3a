//! `attribute_limits`, `tracer_provider.limits` and `logger_provider.limits`.

use super::section::Item;
use crate::env::EnvPairs;
use crate::error::InitError;

/// Reads `attribute_limits`, the default of the other sections.
pub(super) fn general(section: Option<Item<'_>>) -> Result<Option<i64>, InitError> {
    let Some(item) = section else { return Ok(None) };
    let mut section = item.section()?;
    let count = section.integer("attribute_count_limit", 0)?;
    section.unsupported("attribute_value_length_limit");
    section.unsupported("attribute_value_depth_limit");
    section.finish()?;
    Ok(count)
}

/// Reads `tracer_provider.limits` into the variables of the specification.
pub(super) fn for_spans(section: Option<Item<'_>>, general: Option<i64>) -> Result<EnvPairs, InitError> {
    const GENERAL: &str = "OTEL_ATTRIBUTE_COUNT_LIMIT";
    let mut variables = EnvPairs::default();
    variables.place(GENERAL, "attribute_limits.attribute_count_limit".to_owned());
    variables.set(GENERAL, general);
    let Some(item) = section else { return Ok(variables) };
    let mut section = item.section()?;
    for (name, variable) in [
        ("attribute_count_limit", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
        ("event_count_limit", "OTEL_SPAN_EVENT_COUNT_LIMIT"),
        ("link_count_limit", "OTEL_SPAN_LINK_COUNT_LIMIT"),
        ("event_attribute_count_limit", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"),
        ("link_attribute_count_limit", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
    ] {
        variables.place(variable, format!("{}.{name}", item.place));
        variables.set(variable, section.integer(name, 0)?);
    }
    section.unsupported("attribute_value_length_limit");
    section.unsupported("attribute_value_depth_limit");
    section.finish()?;
    Ok(variables)
}

/// Reads `logger_provider.limits`, which the SDK does not support.
pub(super) fn for_records(section: Option<Item<'_>>) -> Result<(), InitError> {
    let Some(item) = section else { return Ok(()) };
    let mut section = item.section()?;
    section.unsupported("attribute_count_limit");
    section.unsupported("attribute_value_length_limit");
    section.unsupported("attribute_value_depth_limit");
    section.finish()
}
