//! The caller's context, read from the request's metadata.

use http::HeaderMap;
use opentelemetry::propagation::Extractor;
use opentelemetry::{Context, global};

/// The current context with what the global propagator finds in `headers`: the caller's span and baggage.
///
/// It starts from the current context, not from an empty one, so that what the layers around a service put there (a suppression of telemetry, say) stays.
pub(crate) fn extract(headers: &HeaderMap) -> Context {
    Context::map_current(|current| {
        global::get_text_map_propagator(|propagator| propagator.extract_with_context(current, &Headers(headers)))
    })
}

/// Lets a propagator read a header map in place.
struct Headers<'a>(&'a HeaderMap);

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
