//! The values of captured headers: text, or base64, within the [limits].

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::StringValue;

use crate::limits;

/// Encodes with padding, as the semantic conventions do; decodes with or without, as gRPC requires.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the values of a header, as they are recorded.
pub(super) fn values(name: &HeaderName, headers: &HeaderMap) -> Vec<StringValue> {
    let is_binary = name.as_str().ends_with("-bin");
    let mut values = Vec::new();
    for value in headers.get_all(name) {
        if is_binary {
            add_binary(value, &mut values);
        } else {
            values.push(text(value).into());
        }
        if values.len() >= limits::HEADER_VALUES {
            break;
        }
    }
    values
}

fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => limits::cut(text, limits::HEADER_VALUE).to_owned(),
        Err(_) => encoded(value.as_bytes()),
    }
}

/// Splits a binary header at commas, and normalizes each value to padded base64, up to the limit.
///
/// A value that is not valid base64 is encoded as raw bytes.
fn add_binary(value: &HeaderValue, values: &mut Vec<StringValue>) {
    for value in value.as_bytes().split(|byte| *byte == b',') {
        if values.len() == limits::HEADER_VALUES {
            return;
        }
        let value = value.trim_ascii();
        let encoded = match BASE64.decode(&value[..value.len().min(limits::HEADER_VALUE)]) {
            Ok(bytes) => encoded(&bytes),
            Err(_) => encoded(value),
        };
        values.push(encoded.into());
    }
}

fn encoded(bytes: &[u8]) -> String {
    const MAX_BYTES: usize = limits::HEADER_VALUE / 4 * 3;
    BASE64.encode(&bytes[..bytes.len().min(MAX_BYTES)])
}
