//! Captured headers and trailers: only listed ones become span attributes, within the [limits].

use http::{HeaderMap, HeaderName};
use opentelemetry::{Array, Key, KeyValue, Value};

use super::header_pattern::{self, HeaderPattern};
use super::header_values::values;
use crate::intern::Interner;
use crate::semconv;

/// Lists of header names, as generated code passes them.
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

/// Parsed lists of the headers and trailers to capture.
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

    /// Returns a leaked copy of the lists, the same for equal lists.
    ///
    /// With an `Arc` instead, every call would write to a reference count that all threads share.
    pub(crate) fn interned(&self) -> &'static Self {
        static LISTS: Interner<CapturedHeaders> = Interner::new();
        LISTS.intern(self, || Box::leak(Box::new(self.clone())))
    }
}

/// Names of the headers to capture, each with the key of its attribute, and patterns of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct HeaderList {
    names: Box<[(HeaderName, Key)]>,
    /// `None` if there are none, so that a list of names has nothing more to check.
    patterns: Option<Box<Patterns>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Patterns {
    /// The part of an attribute's key before the name of the header.
    prefix: &'static str,
    patterns: Box<[HeaderPattern]>,
}

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

    /// Parses header names and patterns, which are case-insensitive. Ignores invalid ones with a
    /// warning.
    fn new(prefix: &'static str, listed: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let mut names: Vec<(HeaderName, Key)> = Vec::new();
        let mut patterns = Vec::new();
        for listed in listed {
            let listed = listed.as_ref();
            if let Some(pattern) = HeaderPattern::parse(listed) {
                patterns.push(pattern);
            } else if let Some(name) = parse_name(listed)
                && !names.iter().any(|(known, _)| *known == name)
            {
                let key = Key::from(format!("{prefix}{name}"));
                names.push((name, key));
            }
        }
        let patterns = patterns.into_boxed_slice();
        HeaderList {
            names: names.into_boxed_slice(),
            patterns: (!patterns.is_empty()).then(|| Box::new(Patterns { prefix, patterns })),
        }
    }

    /// Returns `true` if the attributes of these headers include one with this key.
    pub(crate) fn captures(&self, attribute: &Key, headers: &HeaderMap) -> bool {
        let is_listed = self.names.iter().any(|(_, key)| key == attribute);
        is_listed || self.matched(headers).iter().any(|matched| matched.key == *attribute)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.patterns.is_none()
    }

    /// Returns the attributes of the listed headers that `headers` contains.
    pub(crate) fn attributes(&self, headers: &HeaderMap) -> Vec<KeyValue> {
        let mut attributes = Vec::new();
        for (name, key) in &self.names {
            let values = values(name, headers);
            if !values.is_empty() {
                attributes.push(KeyValue::new(key.clone(), Value::Array(Array::String(values))));
            }
        }
        attributes.append(&mut self.matched(headers));
        attributes
    }

    /// Returns the attributes of the headers that a pattern matches, and that are not listed.
    #[inline]
    fn matched(&self, headers: &HeaderMap) -> Vec<KeyValue> {
        match &self.patterns {
            None => Vec::new(),
            Some(patterns) => self.matched_by(patterns, headers),
        }
    }

    #[cold]
    fn matched_by(&self, patterns: &Patterns, headers: &HeaderMap) -> Vec<KeyValue> {
        let matching = header_pattern::matching(&patterns.patterns, headers);
        let matching = matching.filter(|name| !self.names.iter().any(|(listed, _)| listed == name));
        let attribute = |name: &HeaderName| {
            let key = format!("{}{name}", patterns.prefix);
            KeyValue::new(key, Value::Array(Array::String(values(name, headers))))
        };
        matching.map(attribute).collect()
    }
}

/// Parses the name of a header.
fn parse_name(name: &str) -> Option<HeaderName> {
    let parsed = if name.contains('*') {
        None
    } else {
        HeaderName::from_bytes(name.as_bytes()).ok()
    };
    if let Some(secret) = header_pattern::secret_of(name) {
        tracing::warn!(
            "ignoring header pattern {name:?}, since headers with {secret:?} in their name hold secrets: write the \
             name of each header"
        );
    } else if parsed.is_none() {
        let expected = "expected one such as \"x-tenant\", or a pattern such as \"x-tenant-*\"";
        tracing::warn!("ignoring invalid header name {name:?}, {expected}");
    }
    parsed
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use opentelemetry::StringValue;

    use super::*;
    use crate::limits;

    fn captured(names: &[&str], headers: &[(&'static str, &[u8])]) -> Vec<(String, Value)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let names = HeaderList::new(semconv::RPC_REQUEST_HEADER, names);
        names
            .attributes(&map)
            .into_iter()
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
    fn captures_listed_headers_in_list_order() {
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
    fn binary_values_are_padded_base64() {
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
            panic!("expected an array of strings")
        };
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn truncates_long_values() {
        let max = limits::HEADER_VALUE;
        let text = "x".repeat(max - 1);
        for (suffix, recorded) in [("", ""), ("y", "y"), ("yy", "y"), ("\u{e9}", "")] {
            let value = format!("{text}{suffix}");
            assert_eq!(
                captured_values("a", &[("a", value.as_bytes())]),
                [format!("{text}{recorded}")]
            );
        }
        let opaque = vec![0xff; 5000];
        let base64 = "/".repeat(max);
        assert_eq!(captured_values("a", &[("a", &opaque)]), [&*base64]);
        assert_eq!(captured_values("a-bin", &[("a-bin", &opaque)]), [&*base64]);
        let binary = "/".repeat(max + 3);
        assert_eq!(captured_values("a-bin", &[("a-bin", binary.as_bytes())]), [base64]);
    }

    #[test]
    fn limits_the_number_of_values() {
        let lines = vec![("a", &b"1"[..]); limits::HEADER_VALUES + 1];
        assert_eq!(captured_values("a", &lines), ["1"; limits::HEADER_VALUES]);
        let commas = [b','; 1000];
        assert_eq!(
            captured_values("a-bin", &[("a-bin", &commas)]),
            [""; limits::HEADER_VALUES]
        );
    }

    #[test]
    fn keeps_utf8_values() {
        assert_eq!(
            captured(&["x-name"], &[("x-name", "Ada \u{e9}".as_bytes()), ("x-name", b"")]),
            [("rpc.request.header.x-name".to_owned(), strings(&["Ada \u{e9}", ""]))]
        );
    }
}
