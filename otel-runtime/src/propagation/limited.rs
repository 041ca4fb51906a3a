//! [Limits](crate::limits) of list headers such as `baggage`, on extracting and on injecting.
//!
//! OpenTelemetry's propagators limit the headers that they extract. What they inject may be three
//! times as long, as they percent-encode more than a caller has to. Servers reject requests with
//! long headers, so without a limit a caller could make the calls to downstream services fail.
//!
//! The propagators of this crate have these limits themselves. They read all lines of a list, which
//! are not cut here.

use opentelemetry::propagation::{Extractor, Injector};

use crate::limits::List;

/// Extractor and injector that cuts list headers to their limits.
pub(crate) struct Limited<T>(pub(crate) T);

/// Returns the part of a header's value within its limits, or `None` if not one member fits.
fn limited<'a>(key: &str, value: &'a str) -> Option<&'a str> {
    match List::for_header(key) {
        Some(list) => Some(list.cut(value)).filter(|cut| value.is_empty() || !cut.is_empty()),
        None => Some(value),
    }
}

impl<T: Extractor> Extractor for Limited<T> {
    fn get(&self, key: &str) -> Option<&str> {
        limited(key, self.0.get(key)?)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        self.0.get_all(key)
    }
}

impl<T: Injector> Injector for Limited<T> {
    /// Does not write an empty `tracestate`, which recipients must accept, but senders should avoid
    /// ([W3C Trace Context](https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values)).
    fn set(&mut self, key: &str, mut value: String) {
        if value.is_empty() && key.eq_ignore_ascii_case("tracestate") {
            return;
        }
        if let Some(cut) = limited(key, &value) {
            value.truncate(cut.len());
            self.0.set(key, value);
        }
    }
}
