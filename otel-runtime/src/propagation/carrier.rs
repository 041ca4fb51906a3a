//! Carriers that propagators inject into and extract from.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::BuildHasher;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};
use tonic::metadata::MetadataMap;

use crate::limits::{self, List};

/// Carrier of a context: metadata of an RPC, headers of an HTTP request, or a queue message.
///
/// Implemented for [`MetadataMap`], [`HeaderMap`] and `HashMap<String, String>`. Implement it for
/// your own message types as in the example.
///
/// # Example
///
/// ```
/// use opentelemetry::propagation::{Extractor, Injector};
/// use otel_runtime::propagation::{self, Carrier};
///
/// /// A message of some queue.
/// #[derive(Default)]
/// struct Message {
///     headers: Vec<(String, String)>,
/// }
///
/// struct Read<'a>(&'a Message);
/// struct Write<'a>(&'a mut Message);
///
/// impl Extractor for Read<'_> {
///     fn get(&self, key: &str) -> Option<&str> {
///         let (_, value) = self.0.headers.iter().find(|(name, _)| name == key)?;
///         Some(value)
///     }
///
///     fn keys(&self) -> Vec<&str> {
///         self.0.headers.iter().map(|(name, _)| name.as_str()).collect()
///     }
/// }
///
/// impl Injector for Write<'_> {
///     fn set(&mut self, key: &str, value: String) {
///         self.0.headers.push((key.to_owned(), value));
///     }
/// }
///
/// impl Carrier for Message {
///     fn extractor(&self) -> impl Extractor {
///         Read(self)
///     }
///
///     fn injector(&mut self) -> impl Injector {
///         Write(self)
///     }
///
///     fn remove_field(&mut self, field: &str) {
///         self.headers.retain(|(name, _)| name != field);
///     }
/// }
///
/// let mut message = Message::default();
/// propagation::inject_current(&mut message);
/// # let _ = propagation::extract(&message);
/// ```
pub trait Carrier {
    /// Returns an extractor that reads this carrier.
    fn extractor(&self) -> impl Extractor;

    /// Returns an injector that writes into this carrier.
    fn injector(&mut self) -> impl Injector;

    /// Removes a field, if present. `field` is in lower case.
    fn remove_field(&mut self, field: &str);
}

impl Carrier for HeaderMap {
    fn extractor(&self) -> impl Extractor {
        Headers::new(self)
    }

    fn injector(&mut self) -> impl Injector {
        HeadersMut(self)
    }

    fn remove_field(&mut self, field: &str) {
        self.remove(field);
    }
}

impl Carrier for MetadataMap {
    fn extractor(&self) -> impl Extractor {
        Headers::new(self.as_ref())
    }

    fn injector(&mut self) -> impl Injector {
        HeadersMut(self.as_mut())
    }

    fn remove_field(&mut self, field: &str) {
        self.as_mut().remove_field(field);
    }
}

/// Keys are in lower case, as in `OpenTelemetry`'s own implementations for `HashMap`.
impl<S: BuildHasher> Carrier for HashMap<String, String, S> {
    fn extractor(&self) -> impl Extractor {
        Map(self)
    }

    fn injector(&mut self) -> impl Injector {
        MapMut(self)
    }

    fn remove_field(&mut self, field: &str) {
        self.remove(field);
    }
}

/// Extractor that reads a header map in place.
pub(crate) struct Headers<'a> {
    map: &'a HeaderMap,
    /// The lines of a `tracestate` in several header lines, joined on first use.
    tracestate: OnceCell<String>,
    /// The lines of a `baggage` in several header lines, joined on first use.
    baggage: OnceCell<String>,
}

impl<'a> Headers<'a> {
    pub(crate) fn new(headers: &'a HeaderMap) -> Self {
        Headers {
            map: headers,
            tracestate: OnceCell::new(),
            baggage: OnceCell::new(),
        }
    }

    /// Returns the cell for the joined lines of the header `key`, if its value is a list.
    ///
    /// Only list headers may come in several lines, which then form one list
    /// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110.html#section-5.3)). For other headers a
    /// second line has no defined meaning.
    fn list(&self, key: &str) -> Option<&OnceCell<String>> {
        if key.eq_ignore_ascii_case("tracestate") {
            Some(&self.tracestate)
        } else if key.eq_ignore_ascii_case("baggage") {
            Some(&self.baggage)
        } else {
            None
        }
    }

    /// Joins all text lines of the header `key` that are not blank with commas.
    ///
    /// Stops one byte beyond the header's limit, which suffices to see that it is exceeded.
    fn joined(&self, key: &str) -> String {
        let max = List::for_header(key).map_or(0, |list| list.bytes);
        let mut joined = String::new();
        let lines = self.map.get_all(key).iter().filter_map(|line| line.to_str().ok());
        for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
            if joined.len() > max {
                break;
            }
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(limits::cut(line, max + 1));
        }
        joined
    }
}

impl Extractor for Headers<'_> {
    /// Returns the header's first line or, for a list header, all lines joined.
    fn get(&self, key: &str) -> Option<&str> {
        let mut lines = self.map.get_all(key).iter();
        let first = lines.next()?;
        match self.list(key) {
            Some(list) if lines.next().is_some() => {
                let joined = list.get_or_init(|| self.joined(key));
                (!joined.is_empty()).then_some(joined)
            }
            _ => first.to_str().ok(),
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.map.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let lines = self.map.get_all(key).iter();
        let values: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// Injector that writes into a header map.
struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    /// Replaces the header's present lines. Ignores invalid names and values.
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

struct Map<'a, S>(&'a HashMap<String, String, S>);

impl<S: BuildHasher> Extractor for Map<'_, S> {
    fn get(&self, key: &str) -> Option<&str> {
        Extractor::get(self.0, key)
    }

    fn keys(&self) -> Vec<&str> {
        Extractor::keys(self.0)
    }
}

struct MapMut<'a, S>(&'a mut HashMap<String, String, S>);

impl<S: BuildHasher> Injector for MapMut<'_, S> {
    fn set(&mut self, key: &str, value: String) {
        Injector::set(self.0, key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers<const N: usize>(lines: [(&'static str, &'static [u8]); N]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(name, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    #[test]
    fn only_text_headers_are_extracted() {
        let headers = headers([("b3", b"0"), ("b3", b"1"), ("opaque", b"\xff")]);
        let headers = Headers::new(&headers);

        assert_eq!(headers.get("b3"), Some("0"), "not a list header: the first line");
        assert_eq!(headers.get("B3"), Some("0"), "names are case-insensitive");
        assert_eq!(headers.get_all("b3"), Some(vec!["0", "1"]));
        assert_eq!(headers.keys(), ["b3", "opaque"]);
        for missing in ["opaque", "traceparent", "not a name", ""] {
            assert_eq!(headers.get(missing), None, "{missing:?}");
            assert_eq!(headers.get_all(missing), None, "{missing:?}");
        }
    }

    #[test]
    fn the_lines_of_a_list_header_are_joined() {
        for name in ["baggage", "tracestate"] {
            let headers = headers([(name, b"a=1,b=2"), (name, b" "), (name, b"\xff"), (name, b" c=3")]);
            let headers = Headers::new(&headers);
            assert_eq!(headers.get(name), Some("a=1,b=2,c=3"));
            assert_eq!(headers.get(&name.to_uppercase()), Some("a=1,b=2,c=3"));
        }
        let blank = headers([("baggage", b""), ("baggage", b"\xff")]);
        assert_eq!(Headers::new(&blank).get("baggage"), None);
    }

    #[test]
    fn joining_many_lines_stops_one_byte_beyond_the_limit() {
        for (name, list) in [("baggage", limits::BAGGAGE), ("tracestate", limits::TRACESTATE)] {
            let mut headers = HeaderMap::new();
            for _ in 0..8 {
                headers.append(name, HeaderValue::try_from("x".repeat(3 * list.bytes)).unwrap());
            }
            assert_eq!(Headers::new(&headers).joined(name), "x".repeat(list.bytes + 1));
        }
    }

    #[test]
    fn a_list_header_in_one_line_is_not_copied() {
        let headers = headers([("baggage", b"a=1,b=2"), ("tracestate", b"")]);
        let line = headers["baggage"].to_str().unwrap().as_ptr();
        let headers = Headers::new(&headers);
        assert_eq!(headers.get("baggage").map(str::as_ptr), Some(line), "no copy");
        assert_eq!(headers.get("tracestate"), Some(""));
        assert!(headers.baggage.get().is_none());
    }

    #[test]
    fn invalid_header_names_and_values_are_ignored() {
        let mut headers = HeaderMap::new();
        headers.injector().set("not a name", "1".into());
        headers.injector().set("name", "not\na value".into());
        assert!(headers.is_empty());
    }
}
