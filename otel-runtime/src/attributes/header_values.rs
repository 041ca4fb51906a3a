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
    let values = headers.get_all(name).iter();
    if is_binary {
        values
            .flat_map(binary)
            .take(limits::HEADER_VALUES)
            .map(StringValue::from)
            .collect()
    } else {
        values
            .take(limits::HEADER_VALUES)
            .map(|value| StringValue::from(text(value)))
            .collect()
    }
}

fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => limits::cut(text, limits::HEADER_VALUE).to_owned(),
        Err(_) => encoded(value.as_bytes()),
    }
}

/// Splits a binary header at commas, and normalizes each value to padded base64.
///
/// A value that is not valid base64 is encoded as raw bytes.
fn binary(value: &HeaderValue) -> impl Iterator<Item = String> {
    value.as_bytes().split(|byte| *byte == b',').map(|value| {
        let value = value.trim_ascii();
        match BASE64.decode(&value[..value.len().min(limits::HEADER_VALUE)]) {
            Ok(bytes) => encoded(&bytes),
            Err(_) => encoded(value),
        }
    })
}

fn encoded(bytes: &[u8]) -> String {
    const MAX_BYTES: usize = limits::HEADER_VALUE / 4 * 3;
    BASE64.encode(&bytes[..bytes.len().min(MAX_BYTES)])
}
