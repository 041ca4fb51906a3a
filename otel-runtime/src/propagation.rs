//! A request's metadata, as propagators read and write them.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;

/// Lets a propagator read a header map in place.
pub(crate) struct Headers<'a>(pub(crate) &'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<&str> = self
            .0
            .get_all(key)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        (!values.is_empty()).then_some(values)
    }
}

/// Lets a propagator write into a header map.
struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    /// In place of what is there. What cannot be a header is left out.
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// Where baggage travels. A caller may have filled it by hand, and it does not belong to a span.
const BAGGAGE: &str = "baggage";

/// Writes the span and the baggage in `context` into `headers`, in place of the span that another context left there.
///
/// Without a span in `context` there is nothing to replace one with, and what is there stays.
pub(crate) fn replace(propagator: &dyn TextMapPropagator, context: &Context, headers: &mut HeaderMap) {
    if context.span().span_context().is_valid() {
        // A `tracestate` without its `traceparent` would be another trace's.
        for field in propagator.fields().filter(|field| *field != BAGGAGE) {
            headers.remove(field);
        }
    }
    propagator.inject_context(context, &mut HeadersMut(headers));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_propagator_finds_what_is_text() {
        let mut headers = HeaderMap::new();
        headers.append("baggage", HeaderValue::from_static("a=1"));
        headers.append("baggage", HeaderValue::from_static("b=2"));
        headers.append("opaque", HeaderValue::from_bytes(b"\xff").unwrap());
        let headers = Headers(&headers);

        assert_eq!(headers.get("baggage"), Some("a=1"));
        assert_eq!(headers.get("Baggage"), Some("a=1"), "names have no case");
        assert_eq!(headers.get_all("baggage"), Some(vec!["a=1", "b=2"]));
        assert_eq!(headers.keys(), ["baggage", "opaque"]);
        for missing in ["opaque", "traceparent", "not a name", ""] {
            assert_eq!(headers.get(missing), None, "{missing:?}");
            assert_eq!(headers.get_all(missing), None, "{missing:?}");
        }
    }
}
