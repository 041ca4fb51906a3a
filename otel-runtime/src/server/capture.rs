//! Headers and trailers that spans take up: those that are listed, and never another.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use crate::semconv;

/// Writes padding, as the conventions have it, and reads either, as gRPC has it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The lists, as they are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Captures {
    pub(super) request_headers: &'static [&'static str],
    pub(super) response_headers: &'static [&'static str],
    pub(super) response_trailers: &'static [&'static str],
}

impl Captures {
    pub(super) const NONE: Captures = Captures {
        request_headers: &[],
        response_headers: &[],
        response_trailers: &[],
    };
}

/// The lists, ready for use.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) request_headers: Names,
    pub(super) response_headers: Names,
    pub(super) response_trailers: Names,
}

impl Captured {
    pub(super) fn new(captures: &Captures) -> Self {
        Captured {
            request_headers: Names::new(semconv::RPC_REQUEST_HEADER, captures.request_headers),
            response_headers: Names::new(semconv::RPC_RESPONSE_HEADER, captures.response_headers),
            response_trailers: Names::new(semconv::RPC_RESPONSE_TRAILER, captures.response_trailers),
        }
    }
}

/// Names of headers, each with the attribute that it becomes.
#[derive(Debug)]
pub(super) struct Names(Box<[(HeaderName, Key)]>);

impl Names {
    fn new(prefix: &str, names: &[&str]) -> Self {
        let legal = names
            .iter()
            .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok());
        Names(
            legal
                .map(|name| (name.clone(), Key::from(format!("{prefix}{name}"))))
                .collect(),
        )
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attributes for those of the names that `headers` has.
    pub(super) fn attributes(&self, headers: &HeaderMap) -> impl Iterator<Item = KeyValue> {
        self.0.iter().filter_map(|(name, key)| {
            let is_binary = name.as_str().ends_with("-bin");
            let values = headers.get_all(name).iter();
            let values: Vec<StringValue> = if is_binary {
                values.flat_map(binary).map(StringValue::from).collect()
            } else {
                values.map(|value| StringValue::from(text(value))).collect()
            };
            (!values.is_empty()).then(|| KeyValue::new(key.clone(), Value::Array(Array::String(values))))
        })
    }
}

fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => BASE64.encode(value.as_bytes()),
    }
}

/// The values in one binary header: base64 already, with or without padding, joined by commas. What is not is encoded as it is.
fn binary(value: &HeaderValue) -> impl Iterator<Item = String> {
    value.as_bytes().split(|byte| *byte == b',').map(|value| {
        let value = value.trim_ascii();
        match BASE64.decode(value) {
            Ok(bytes) => BASE64.encode(bytes),
            Err(_) => BASE64.encode(value),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(names: &[&str], headers: &[(&'static str, &[u8])]) -> Vec<(String, Value)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let names = Names::new(semconv::RPC_REQUEST_HEADER, names);
        names
            .attributes(&map)
            .map(|attribute| (attribute.key.to_string(), attribute.value))
            .collect()
    }

    fn strings(values: &[&'static str]) -> Value {
        Value::Array(
            values
                .iter()
                .map(|value| StringValue::from(*value))
                .collect::<Vec<_>>()
                .into(),
        )
    }

    #[test]
    fn only_what_is_listed_in_the_order_of_the_list() {
        let headers: [(_, &[u8]); 4] = [
            ("authorization", b"secret"),
            ("x-tenant", b"a"),
            ("x-zone", b"b"),
            ("x-tenant", b"c"),
        ];
        assert_eq!(
            captured(&["x-zone", "x-tenant", "x-missing"], &headers),
            [
                ("rpc.request.header.x-zone".to_owned(), strings(&["b"])),
                ("rpc.request.header.x-tenant".to_owned(), strings(&["a", "c"])),
            ]
        );
        assert_eq!(captured(&[], &headers), []);
    }

    #[test]
    fn what_is_binary_is_padded_base64() {
        let headers: [(_, &[u8]); 4] = [
            ("a-bin", b"AAE"),
            ("a-bin", b"AAE=, /w"),
            ("b-bin", b"not base64!"),
            ("c", b"\xff\xfe"),
        ];
        assert_eq!(
            captured(&["a-bin", "b-bin", "c"], &headers),
            [
                (
                    "rpc.request.header.a-bin".to_owned(),
                    strings(&["AAE=", "AAE=", "/w=="])
                ),
                ("rpc.request.header.b-bin".to_owned(), strings(&["bm90IGJhc2U2NCE="])),
                ("rpc.request.header.c".to_owned(), strings(&["//4="])),
            ]
        );
    }

    #[test]
    fn what_is_text_stays_text() {
        assert_eq!(
            captured(&["x-name"], &[("x-name", "Ada \u{e9}".as_bytes()), ("x-name", b"")]),
            [("rpc.request.header.x-name".to_owned(), strings(&["Ada \u{e9}", ""]))]
        );
    }
}
