//! A request's metadata, as propagators read them.

use http::HeaderMap;
use opentelemetry::propagation::Extractor;

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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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
