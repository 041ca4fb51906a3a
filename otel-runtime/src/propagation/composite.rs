//! Several propagators as one.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator};

use super::w3c::W3c;

/// The propagators of a list of names. `from_env` and `from_names` return it.
///
/// Propagators inject and extract in the order of the list. If several extract a span, the last one
/// wins.
#[derive(Debug)]
pub struct CompositePropagator {
    propagators: TextMapCompositePropagator,
    w3c: Option<W3c>,
}

impl CompositePropagator {
    /// Creates the propagator of a list. `w3c` tells that it consists of W3C's formats only.
    pub(super) fn new(propagators: Vec<Box<dyn TextMapPropagator + Send + Sync>>, w3c: Option<W3c>) -> Self {
        CompositePropagator {
            propagators: TextMapCompositePropagator::new(propagators),
            w3c,
        }
    }

    pub(super) fn w3c(&self) -> Option<W3c> {
        self.w3c
    }
}

impl TextMapPropagator for CompositePropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.propagators.inject_context(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        self.propagators.extract_with_context(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        self.propagators.fields()
    }
}
