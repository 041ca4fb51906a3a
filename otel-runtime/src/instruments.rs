//! The tracer and the instruments, made once.

use std::sync::OnceLock;

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};
use opentelemetry::{InstrumentationScope, KeyValue};

use crate::semconv;

/// What a server records its RPCs with.
pub(crate) struct ServerInstruments {
    pub(crate) tracer: BoxedTracer,
    pub(crate) call_duration: Histogram<f64>,
    pub(crate) active_requests: UpDownCounter<i64>,
}

impl ServerInstruments {
    /// Those of the global providers as they were at the first call of this function.
    pub(crate) fn global() -> &'static Self {
        static GLOBAL: OnceLock<ServerInstruments> = OnceLock::new();
        GLOBAL.get_or_init(|| {
            let scope = InstrumentationScope::builder(semconv::SCOPE_NAME)
                .with_version(semconv::SCOPE_VERSION)
                .with_schema_url(semconv::SCHEMA_URL)
                .build();
            let meter = global::meter_with_scope(scope.clone());
            ServerInstruments {
                tracer: global::tracer_with_scope(scope),
                call_duration: call_duration(&meter, &semconv::SERVER_CALL_DURATION),
                active_requests: active_requests(&meter, &semconv::SERVER_ACTIVE_REQUESTS),
            }
        })
    }
}

fn call_duration(meter: &Meter, instrument: &semconv::Instrument) -> Histogram<f64> {
    meter
        .f64_histogram(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_boundaries(semconv::DURATION_BOUNDARIES.to_vec())
        .build()
}

fn active_requests(meter: &Meter, instrument: &semconv::Instrument) -> UpDownCounter<i64> {
    meter
        .i64_up_down_counter(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .build()
}

/// Attributes of a metric point. The SDK finds a point faster when its attributes come sorted.
pub(crate) fn sorted(mut attributes: Vec<KeyValue>) -> Box<[KeyValue]> {
    attributes.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    attributes.into_boxed_slice()
}
