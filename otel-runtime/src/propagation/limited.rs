//! The headers that are lists, within their [limits](crate::limits), on the way in and on the way out.
//!
//! OpenTelemetry's propagators count what they read. What they write of it may be three times as long, for they encode more than a caller has to; and a server refuses a request whose headers are too long, so
//! that a caller could keep the services behind this one from being reached.

use opentelemetry::propagation::{Extractor, Injector};

use crate::limits::List;

/// Lets a propagator read and write lists within their limits.
pub(crate) struct Limited<T>(pub(crate) T);

/// The value of a header as far as it is within its limits. `None` where nothing is.
fn limited<'a>(key: &str, value: &'a str) -> Option<&'a str> {
    match List::of(key) {
        Some(list) => Some(list.cut(value)).filter(|kept| value.is_empty() || !kept.is_empty()),
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
    fn set(&mut self, key: &str, mut value: String) {
        if let Some(kept) = limited(key, &value) {
            value.truncate(kept.len());
            self.0.set(key, value);
        }
    }
}
