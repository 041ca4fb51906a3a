//! Recognition of propagators that the layers need not call.

use std::hash::Hasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

use super::baggage::{BAGGAGE, BaggagePropagator};
use super::trace_context::{TRACEPARENT, TRACESTATE, TraceContextPropagator};
use super::w3c::W3c;

/// What the layers know of a propagator.
pub(crate) enum Known {
    W3c(W3c),
    /// OpenTelemetry's default until a program sets another. It does nothing.
    Noop,
    Other,
}

impl Known {
    /// Identifies the global propagator.
    ///
    /// `TextMapPropagator` offers no downcast. But only [`GlobalW3c`] returns the strings of
    /// [`FIELDS`], and no other type can wrap it: it is private, and OpenTelemetry owns it.
    #[inline]
    pub(crate) fn of(propagator: &dyn TextMapPropagator) -> Self {
        if is_noop(propagator) {
            return Known::Noop;
        }
        let Some(first) = propagator.fields().next() else {
            learn_noop(propagator);
            return Known::Other;
        };
        let fields = &*FIELDS;
        if std::ptr::eq(first, fields.without_baggage[0].as_str()) {
            Known::W3c(W3c { has_baggage: false })
        } else if std::ptr::eq(first, fields.with_baggage[0].as_str()) {
            Known::W3c(W3c { has_baggage: true })
        } else {
            Known::Other
        }
    }
}

/// The vtable of OpenTelemetry's `NoopTextMapPropagator`, once it has been seen. 0 before.
static NOOP: AtomicUsize = AtomicUsize::new(0);

/// Returns `true` for a propagator with the vtable in [`NOOP`] and without state.
///
/// Two such types may share one vtable only if all of their functions are the same.
#[inline]
fn is_noop(propagator: &dyn TextMapPropagator) -> bool {
    let noop = NOOP.load(Ordering::Relaxed);
    noop != 0 && size_of_val(propagator) == 0 && vtable_address(propagator) == noop
}

#[cold]
fn learn_noop(propagator: &dyn TextMapPropagator) {
    let is_noop = format!("{propagator:?}").split(' ').next() == Some("NoopTextMapPropagator");
    if is_noop && size_of_val(propagator) == 0 {
        NOOP.store(vtable_address(propagator), Ordering::Relaxed);
    }
}

/// Returns the address of a propagator's vtable, or 0 if unknown.
#[inline]
fn vtable_address(propagator: &dyn TextMapPropagator) -> usize {
    /// Hasher that records what a pointer writes when it is hashed.
    ///
    /// A pointer to a trait object writes the address of the value, then that of the vtable.
    #[derive(Default)]
    struct Addresses {
        count: usize,
        last: usize,
    }

    impl Hasher for Addresses {
        fn write(&mut self, _: &[u8]) {
            // Pointers are expected to call `write_usize` only: makes the count differ from 2.
            self.count = usize::MAX / 2;
        }

        fn write_usize(&mut self, address: usize) {
            self.count += 1;
            self.last = address;
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let mut addresses = Addresses::default();
    std::ptr::hash(propagator, &mut addresses);
    if addresses.count == 2 { addresses.last } else { 0 }
}

/// The fields of [`GlobalW3c`], and of no other propagator.
struct Fields {
    without_baggage: [String; 2],
    with_baggage: [String; 3],
}

static FIELDS: LazyLock<Fields> = LazyLock::new(|| Fields {
    without_baggage: [TRACEPARENT, TRACESTATE].map(Into::into),
    with_baggage: [TRACEPARENT, TRACESTATE, BAGGAGE].map(Into::into),
});

/// The global propagator, if it is one of this module's W3C propagators.
#[derive(Debug)]
struct GlobalW3c(W3c);

impl TextMapPropagator for GlobalW3c {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        TraceContextPropagator::new().inject_context(context, injector);
        if self.0.has_baggage {
            BaggagePropagator::new().inject_context(context, injector);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let context = TraceContextPropagator::new().extract_with_context(context, extractor);
        if self.0.has_baggage {
            BaggagePropagator::new().extract_with_context(&context, extractor)
        } else {
            context
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(if self.0.has_baggage {
            &FIELDS.with_baggage
        } else {
            &FIELDS.without_baggage
        })
    }
}

/// Sets OpenTelemetry's global propagator.
///
/// Does what `opentelemetry::global::set_text_map_propagator` does, and also tells the layers what
/// they have. They call [`TraceContextPropagator`], or what [`from_env`](super::from_env) returns
/// for W3C formats, without dynamic dispatch, which saves some 300 instructions per RPC. Any other
/// propagator works in either way.
///
/// # Example
///
/// ```
/// use otel_runtime::propagation::{self, TraceContextPropagator};
///
/// propagation::set_global(TraceContextPropagator::new());
/// ```
pub fn set_global(propagator: impl TextMapPropagator + Send + Sync + 'static) {
    match W3c::of(&propagator) {
        Some(w3c) => opentelemetry::global::set_text_map_propagator(GlobalW3c(w3c)),
        None => opentelemetry::global::set_text_map_propagator(propagator),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::global;
    use opentelemetry::propagation::TextMapCompositePropagator;
    use opentelemetry::trace::noop::NoopTextMapPropagator;

    use super::*;
    use crate::propagation::B3Propagator;

    fn name(known: &Known) -> &'static str {
        match known {
            Known::W3c(W3c { has_baggage: false }) => "W3C",
            Known::W3c(W3c { has_baggage: true }) => "W3C with baggage",
            Known::Noop => "no-op",
            Known::Other => "other",
        }
    }

    /// A propagator that says what another says of itself, and does something else.
    struct Impostor<P>(P);

    impl<P: std::fmt::Debug> std::fmt::Debug for Impostor<P> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt(f)
        }
    }

    impl<P: TextMapPropagator> TextMapPropagator for Impostor<P> {
        fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

        fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
            context.clone()
        }

        fn fields(&self) -> FieldIter<'_> {
            self.0.fields()
        }
    }

    fn global_name() -> &'static str {
        let of_global = || global::get_text_map_propagator(|propagator| name(&Known::of(propagator)));
        of_global();
        // The answer from the cache equals the first one.
        of_global()
    }

    // One test, since there is one global propagator.
    #[test]
    fn only_the_noop_and_what_set_global_has_set_are_recognized() {
        global::set_text_map_propagator(NoopTextMapPropagator::new());
        assert_eq!(global_name(), "no-op");
        set_global(TraceContextPropagator::new());
        assert_eq!(global_name(), "W3C");
        set_global(B3Propagator::single());
        assert_eq!(global_name(), "other");
        set_global(BaggagePropagator::new());
        assert_eq!(global_name(), "other");
        #[cfg(feature = "propagators")]
        for (names, expected) in [
            ("", "W3C with baggage"),
            ("tracecontext", "W3C"),
            ("baggage,tracecontext", "W3C with baggage"),
            ("tracecontext,baggage,b3", "other"),
            ("none", "other"),
        ] {
            set_global(crate::propagation::from_names(names));
            assert_eq!(global_name(), expected, "{names:?}");
        }
        set_global(Impostor(TraceContextPropagator::new()));
        assert_eq!(global_name(), "other");
        global::set_text_map_propagator(Impostor(TraceContextPropagator::new()));
        assert_eq!(global_name(), "other");
        global::set_text_map_propagator(Impostor(GlobalW3c(W3c { has_baggage: false })));
        assert_eq!(global_name(), "W3C", "impossible outside of this module");
        global::set_text_map_propagator(TextMapCompositePropagator::new(vec![Box::new(
            TraceContextPropagator::new(),
        )]));
        assert_eq!(global_name(), "other");
        global::set_text_map_propagator(opentelemetry_sdk::propagation::TraceContextPropagator::new());
        assert_eq!(global_name(), "other");
        global::set_text_map_propagator(NoopTextMapPropagator::new());
    }
}
