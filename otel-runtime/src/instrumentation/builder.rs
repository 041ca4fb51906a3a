//! The builder of an instrumentation.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use opentelemetry::InstrumentationScope;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::{Meter, MeterProvider, NoopMeterProvider};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::trace::{Tracer, TracerProvider};

use super::{Inner, Instrumentation, OwnPropagator};
use crate::metrics::duration_boundaries;
use crate::metrics::instruments::{Instruments, Meters};
use crate::propagation::known::Known;
use crate::{guard, semconv};

impl Instrumentation {
    /// Returns a builder that starts with the global providers.
    #[must_use]
    pub fn builder() -> InstrumentationBuilder {
        InstrumentationBuilder::default()
    }
}

/// Builder of an [`Instrumentation`].
///
/// Providers that are not set are the global ones at the time of [`build`](Self::build). A
/// propagator that is not set is the global one at the time of each call.
#[derive(Default)]
pub struct InstrumentationBuilder {
    tracer: Option<BoxedTracer>,
    meters: Option<Meters>,
    propagator: Option<OwnPropagator>,
    duration_boundaries: Option<Vec<f64>>,
}

impl InstrumentationBuilder {
    /// Sets the provider of the tracer.
    #[must_use]
    pub fn tracer_provider<P>(mut self, provider: &P) -> Self
    where
        P: TracerProvider<Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static>,
    {
        self.tracer = Some(BoxedTracer::new(Box::new(provider.tracer_with_scope(semconv::scope()))));
        self
    }

    /// Sets the provider of the meter.
    #[must_use]
    pub fn meter_provider(mut self, provider: &impl MeterProvider) -> Self {
        self.meters = Some(Meters::new(|scope| provider.meter_with_scope(scope)));
        self
    }

    /// Sets the propagator that extracts the caller's context from the metadata of a request, and
    /// that injects a client's into it.
    #[must_use]
    pub fn propagator(mut self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        let recognized = Known::from_type(&propagator);
        self.propagator = Some((Box::new(propagator), recognized));
        self
    }

    /// Sets the histogram buckets of `rpc.server.call.duration` and `rpc.client.call.duration`, in
    /// seconds, instead of those of the configuration file, or else those that the semantic
    /// conventions advise.
    #[must_use]
    pub fn duration_boundaries(mut self, boundaries: impl Into<Vec<f64>>) -> Self {
        self.duration_boundaries = Some(boundaries.into());
        self
    }

    /// Creates the tracer and the instruments.
    #[must_use]
    pub fn build(self) -> Instrumentation {
        let InstrumentationBuilder {
            tracer,
            meters,
            propagator,
            duration_boundaries,
        } = self;
        let tracer = tracer.or_else(|| guard::TRACER.run(|| global::tracer_with_scope(semconv::scope())));
        let boundaries = duration_boundaries.unwrap_or_else(duration_boundaries::default);
        let instruments = guard::METER.run(|| {
            let meters = meters.unwrap_or_else(|| Meters::new(global::meter_with_scope));
            Instruments::new(meters, &boundaries)
        });
        Instrumentation(Arc::new(Inner {
            propagator,
            tracer: tracer.unwrap_or_else(|| BoxedTracer::new(Box::new(NoopTracer::new()))),
            tracer_is_noop: AtomicBool::new(false),
            instruments: instruments
                .unwrap_or_else(|| Instruments::new(Meters::new(|_| NoopMeterProvider::new().meter("")), &boundaries)),
        }))
    }
}

impl fmt::Debug for InstrumentationBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstrumentationBuilder").finish_non_exhaustive()
    }
}

impl Meters {
    fn new(meter: impl Fn(InstrumentationScope) -> Meter) -> Self {
        Meters {
            rpc: meter(semconv::scope()),
            hook: meter(InstrumentationScope::builder(semconv::HOOK_SCOPE_NAME).build()),
        }
    }
}
