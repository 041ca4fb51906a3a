//! Members of a `baggage` header: `key=value;property;…`.

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::propagation::traceparent::trim_ows;

/// Characters that the specification forbids in a value, with `%`.
const FORBIDDEN: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// Also encodes characters that other parsers misread: a second `=`, and `+` as a space.
const ENCODED: &AsciiSet = &FORBIDDEN.add(b'=').add(b'+');

/// A member as it was received.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: String,
    /// The decoded value.
    pub(super) value: String,
    /// The properties, as they were encoded.
    pub(super) properties: String,
    /// The whole member, without optional white space.
    pub(super) text: String,
}

impl Member {
    /// Parses a member. Returns `None` if it is outside of the grammar.
    pub(super) fn parse(member: &[u8]) -> Option<Self> {
        let mut parts = member.split(|byte| *byte == b';').map(trim_ows);
        let (key, value) = parse_pair(parts.next()?)?;
        let value = value?;
        let mut properties = String::new();
        for property in parts.filter(|property| !property.is_empty()) {
            let (key, value) = parse_pair(property)?;
            push_property(&mut properties, key, value);
        }
        let text = format(key, value, &properties);
        Some(Member {
            key: key.to_owned(),
            value: percent_decode_str(value).decode_utf8_lossy().into_owned(),
            properties,
            text,
        })
    }
}

/// Formats an entry that this process has set. Returns `None` if its key is not a token.
pub(super) fn encode(key: &str, value: &str, metadata: &str) -> Option<String> {
    is_token(key.as_bytes()).then_some(())?;
    let mut properties = String::new();
    for property in metadata.split(';') {
        let (key, value) = match property.split_once('=') {
            Some((key, value)) => (key.trim(), Some(encode_rest(value.trim()))),
            None => (property.trim(), None),
        };
        if is_token(key.as_bytes()) {
            push_property(&mut properties, key, value.as_deref());
        }
    }
    let value = utf8_percent_encode(value, ENCODED).to_string();
    Some(format(key, &value, &properties))
}

/// Parses `key` or `key=value`, with the value as it is encoded.
fn parse_pair(pair: &[u8]) -> Option<(&str, Option<&str>)> {
    let (key, value) = match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (trim_ows(&pair[..at]), Some(trim_ows(&pair[at + 1..]))),
        None => (pair, None),
    };
    (is_token(key) && value.is_none_or(|value| value.iter().copied().all(is_baggage_octet))).then_some(())?;
    let value = value.map(str::from_utf8).transpose().ok()?;
    Some((str::from_utf8(key).ok()?, value))
}

fn format(key: &str, value: &str, properties: &str) -> String {
    let delimiter = if properties.is_empty() { "" } else { ";" };
    format!("{key}={value}{delimiter}{properties}")
}

fn push_property(properties: &mut String, key: &str, value: Option<&str>) {
    if !properties.is_empty() {
        properties.push(';');
    }
    properties.push_str(key);
    if let Some(value) = value {
        properties.push('=');
        properties.push_str(value);
    }
}

/// Percent-encodes what is not encoded yet: metadata is in the form of the header.
fn encode_rest(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for (at, part) in value.split('%').enumerate() {
        if at > 0 {
            let is_encoded = part
                .as_bytes()
                .get(..2)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
            encoded.push_str(if is_encoded { "%" } else { "%25" });
        }
        // Writing to a string cannot fail.
        let _ = write!(encoded, "{}", utf8_percent_encode(part, FORBIDDEN));
    }
    encoded
}

/// Returns `true` for a `token` of RFC 7230.
fn is_token(key: &[u8]) -> bool {
    let is_char = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !key.is_empty() && key.iter().all(is_char)
}

fn is_baggage_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}
