//! Headers and trailers that spans take up: those that are listed, and never another, as far as the [limits] go.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use crate::{limits, semconv};

/// Writes padding, as the conventions have it, and reads either, as gRPC has it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The lists, as generated code has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CaptureLists {
    pub(crate) request_headers: &'static [&'static str],
    pub(crate) response_headers: &'static [&'static str],
    pub(crate) response_trailers: &'static [&'static str],
}

impl CaptureLists {
    pub(crate) const NONE: CaptureLists = CaptureLists {
        request_headers: &[],
        response_headers: &[],
        response_trailers: &[],
    };
}

/// The lists, ready for use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct CapturedHeaders {
    pub(crate) request_headers: HeaderList,
    pub(crate) response_headers: HeaderList,
    pub(crate) response_trailers: HeaderList,
}

impl CapturedHeaders {
    pub(crate) fn new(captures: &CaptureLists) -> Self {
        CapturedHeaders {
            request_headers: HeaderList::request_headers(captures.request_headers),
            response_headers: HeaderList::response_headers(captures.response_headers),
            response_trailers: HeaderList::response_trailers(captures.response_trailers),
        }
    }

    /// The same lists for good, once however many layers have them: an RPC that had a part in their ownership would count that where all threads count.
    pub(crate) fn interned(&self) -> &'static Self {
        static ALL: LazyLock<Mutex<HashSet<&'static CapturedHeaders>>> = LazyLock::new(Mutex::default);

        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(self) {
            return known;
        }
        let captured = Box::leak(Box::new(self.clone()));
        all.insert(captured);
        captured
    }
}

/// HeaderList of headers, each with the attribute that it becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct HeaderList(Box<[(HeaderName, Key)]>);

impl HeaderList {
    pub(crate) fn request_headers(names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        HeaderList::new(semconv::RPC_REQUEST_HEADER, names)
    }

    pub(crate) fn response_headers(names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        HeaderList::new(semconv::RPC_RESPONSE_HEADER, names)
    }

    pub(crate) fn response_trailers(names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        HeaderList::new(semconv::RPC_RESPONSE_TRAILER, names)
    }

    /// HeaderList have no case. One that no header can have is left out, and that is told.
    fn new(prefix: &str, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let legal = names.into_iter().filter_map(|name| {
            let name = name.as_ref();
            HeaderName::from_bytes(name.as_bytes())
                .inspect_err(|_| {
                    tracing::warn!(
                        "{name:?} is no name of a header, and is not recorded: write one such as \"x-tenant\""
                    );
                })
                .ok()
        });
        let mut names: Vec<(HeaderName, Key)> = Vec::new();
        for name in legal {
            if !names.iter().any(|(known, _)| *known == name) {
                let key = Key::from(format!("{prefix}{name}"));
                names.push((name, key));
            }
        }
        HeaderList(names.into_boxed_slice())
    }

    /// Whether one of them becomes this attribute.
    pub(crate) fn has(&self, attribute: &Key) -> bool {
        self.0.iter().any(|(_, key)| key == attribute)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attributes for those of the names that `headers` has.
    pub(crate) fn attributes(&self, headers: &HeaderMap) -> impl Iterator<Item = KeyValue> {
        self.0.iter().filter_map(|(name, key)| {
            let is_binary = name.as_str().ends_with("-bin");
            let values = headers.get_all(name).iter();
            let values: Vec<StringValue> = if is_binary {
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
            };
            (!values.is_empty()).then(|| KeyValue::new(key.clone(), Value::Array(Array::String(values))))
        })
    }
}

fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => limits::cut(text, limits::HEADER_VALUE).to_owned(),
        Err(_) => encoded(value.as_bytes()),
    }
}

/// The values in one binary header: base64 already, with or without padding, joined by commas. What is not is encoded as it is.
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
    const MOST: usize = limits::HEADER_VALUE / 4 * 3;
    BASE64.encode(&bytes[..bytes.len().min(MOST)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(names: &[&str], headers: &[(&'static str, &[u8])]) -> Vec<(String, Value)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let names = HeaderList::new(semconv::RPC_REQUEST_HEADER, names);
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

    fn captured_values(name: &str, headers: &[(&'static str, &[u8])]) -> Vec<String> {
        let Value::Array(Array::String(values)) = captured(&[name], headers).remove(0).1 else {
            panic!("no strings")
        };
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_value_has_an_end() {
        let most = limits::HEADER_VALUE;
        let text = "x".repeat(most - 1);
        for (behind, kept) in [("", ""), ("y", "y"), ("yy", "y"), ("\u{e9}", "")] {
            let value = format!("{text}{behind}");
            assert_eq!(
                captured_values("a", &[("a", value.as_bytes())]),
                [format!("{text}{kept}")]
            );
        }
        let opaque = vec![0xff; 5000];
        let base64 = "/".repeat(most);
        assert_eq!(captured_values("a", &[("a", &opaque)]), [&*base64]);
        assert_eq!(captured_values("a-bin", &[("a-bin", &opaque)]), [&*base64]);
        let binary = "/".repeat(most + 3);
        assert_eq!(captured_values("a-bin", &[("a-bin", binary.as_bytes())]), [base64]);
    }

    #[test]
    fn so_many_values_have_an_end() {
        let lines = vec![("a", &b"1"[..]); limits::HEADER_VALUES + 1];
        assert_eq!(captured_values("a", &lines), ["1"; limits::HEADER_VALUES]);
        let commas = [b','; 1000];
        assert_eq!(
            captured_values("a-bin", &[("a-bin", &commas)]),
            [""; limits::HEADER_VALUES]
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
