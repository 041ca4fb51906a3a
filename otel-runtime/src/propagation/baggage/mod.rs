//! Propagator for W3C Baggage.

mod member;
mod received;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

pub(super) use received::{format, with_baggage};

pub(super) const BAGGAGE: &str = "baggage";

static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [BAGGAGE.into()]);

/// Propagator for [W3C Baggage](https://www.w3.org/TR/baggage/).
///
/// Injects what it has extracted, unless this process changes it: the order of the members,
/// duplicates, and the percent-encoding of values and of properties.
///
/// * Values are percent-decoded. Bytes that are not UTF-8 become `U+FFFD`. If a key occurs twice,
///   its last value is in the [baggage](opentelemetry::baggage) of the context.
/// * Properties (`key=value;property;other=1`) are the entry's metadata, still percent-encoded.
/// * A member outside of the grammar is dropped, and the others stay. The lines of the header form
///   one list.
/// * Entries that this process sets are written after those that came in, sorted by key. In their
///   values, everything is percent-encoded that the specification demands, and `%`, `=` and `+`.
/// * At most 64 members and 8,192 bytes are read, and written. Members beyond that are dropped as a
///   whole, from the end.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::baggage::BaggageExt;
/// use opentelemetry::propagation::TextMapPropagator;
/// use otel_runtime::propagation::BaggagePropagator;
///
/// let baggage = "token=YWJjZA==,discount=100%2525;unit=%25";
/// let received = HashMap::from([("baggage".to_owned(), baggage.to_owned())]);
/// let context = BaggagePropagator::new().extract(&received);
/// assert_eq!(context.baggage().get("token").unwrap().as_str(), "YWJjZA==");
/// assert_eq!(context.baggage().get("discount").unwrap().as_str(), "100%25");
///
/// let mut sent = HashMap::new();
/// BaggagePropagator::new().inject_context(&context, &mut sent);
/// assert_eq!(sent["baggage"], baggage);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BaggagePropagator {
    _private: (),
}

impl BaggagePropagator {
    /// Creates the propagator.
    #[must_use]
    pub const fn new() -> Self {
        BaggagePropagator { _private: () }
    }
}

impl TextMapPropagator for BaggagePropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        if let Some(baggage) = format(context) {
            injector.set(BAGGAGE, baggage);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let lines = extractor.get_all(BAGGAGE).unwrap_or_default();
        with_baggage(context, &mut lines.iter().map(|line| line.as_bytes())).unwrap_or_else(|| context.clone())
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}
