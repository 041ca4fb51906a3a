//! `resource`: the attributes that describe the service.

use opentelemetry::{Array, KeyValue, StringValue, Value as AttributeValue};

use super::node::Value;
use super::section::{Item, Section};
use crate::env::EnvPairs;
use crate::error::InitError;
use crate::resource;

/// Returns the attributes. Those of `attributes` take precedence over those of `attributes_list`.
pub(super) fn attributes(section: Option<Item<'_>>) -> Result<Vec<KeyValue>, InitError> {
    let Some(item) = section else {
        return Ok(Vec::new());
    };
    let mut section = item.section()?;
    let mut attributes = Vec::new();
    if let Some(list) = section.get("attributes_list") {
        let mut variables = EnvPairs::default();
        variables.set(resource::ATTRIBUTES_VARIABLE, Some(list.text()?));
        let env = variables.into_env();
        attributes.extend(resource::attributes_from_env(&env));
        let count = attributes.len();
        attributes.retain(|attribute| !resource::is_unnamed_service(attribute));
        if attributes.len() < count {
            list.warn("has an empty service.name; ignoring that");
        }
        if !env.into_warnings().is_empty() {
            return Err(list.error("is not a list such as name=value,name=value with percent-encoded values"));
        }
    }
    if let Some(list) = section.get("attributes") {
        for item in list.list()? {
            match attribute(item.section()?)? {
                Some(attribute) if resource::is_unnamed_service(&attribute) => {
                    item.warn("is an empty service.name; ignoring it");
                }
                attribute => attributes.extend(attribute),
            }
        }
    }
    section.unsupported("schema_url");
    if let Some(detection) = section.get("detection/development") {
        detection
            .warn("is not supported; the attributes of the host, the process and the container are always detected");
    }
    section.finish()?;
    Ok(attributes)
}

fn attribute(mut section: Section<'_>) -> Result<Option<KeyValue>, InitError> {
    let name = section.required("name")?.name()?.to_owned();
    let value = section.required("value")?;
    let kind = section.get("type");
    let kinds = [
        "string",
        "bool",
        "int",
        "double",
        "string_array",
        "bool_array",
        "int_array",
        "double_array",
    ];
    let kind = kind
        .map(|kind| kind.one_of(&kinds.map(|kind| (kind, kind))))
        .transpose()?;
    section.finish()?;
    if value.is_null() {
        return Ok(None);
    }
    let converted = match kind {
        Some("string_array" | "bool_array" | "int_array" | "double_array") => array(kind, &value)?,
        None if matches!(value.value(), Value::List(_)) => array(None, &value)?,
        _ => scalar(kind, &value)?,
    };
    Ok(Some(KeyValue::new(name, converted)))
}

/// The schema's default type is text. Numbers and booleans have their own type, unless that would
/// change them: the version `1.10` is not 1.1.
fn scalar(kind: Option<&str>, item: &Item<'_>) -> Result<AttributeValue, InitError> {
    let kind = kind.or_else(|| is_changed(item).then_some("string"));
    Ok(match (kind, item.value()) {
        (Some("string"), Value::Bool(_) | Value::Int(_) | Value::Float(_)) => text(item)?.into(),
        (None | Some("bool"), Value::Bool(value)) => (*value).into(),
        (None | Some("int"), Value::Int(value)) => (*value).into(),
        (Some("double"), _) => item.float()?.into(),
        (None, Value::Float(value)) => (*value).into(),
        (None | Some("string"), Value::Text(value)) => value.clone().into(),
        (Some(kind), _) => return Err(item.error(format_args!("is not of the type {kind}"))),
        (None, _) => return Err(item.error("must be a string, a boolean, a number, or a list of them")),
    })
}

/// Returns whether a number would not be written as in the file.
fn is_changed(item: &Item<'_>) -> bool {
    match item.value() {
        Value::Int(value) => value.to_string() != item.source(),
        Value::Float(value) => value.to_string() != item.source(),
        _ => false,
    }
}

/// Returns the text of a scalar, as it is in the file.
fn text(item: &Item<'_>) -> Result<String, InitError> {
    match item.value() {
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => Ok(item.source().to_owned()),
        _ => item.text().map(str::to_owned),
    }
}

fn array(kind: Option<&str>, item: &Item<'_>) -> Result<AttributeValue, InitError> {
    let items = item.list()?;
    let kind = kind.unwrap_or(match items[0].value() {
        _ if items.iter().any(is_changed) => "string_array",
        Value::Bool(_) => "bool_array",
        Value::Int(_) if items.iter().all(|item| matches!(item.value(), Value::Int(_))) => "int_array",
        Value::Int(_) | Value::Float(_) => "double_array",
        _ => "string_array",
    });
    let array = match kind {
        "bool_array" => Array::Bool(items.iter().map(Item::boolean).collect::<Result<_, _>>()?),
        "int_array" => {
            let all = i64::MIN..=i64::MAX;
            Array::I64(items.iter().map(|item| item.integer(&all)).collect::<Result<_, _>>()?)
        }
        "double_array" => Array::F64(items.iter().map(Item::float).collect::<Result<_, _>>()?),
        _ => {
            let texts = items.iter().map(|item| text(item).map(StringValue::from));
            Array::String(texts.collect::<Result<_, _>>()?)
        }
    };
    Ok(AttributeValue::Array(array))
}
