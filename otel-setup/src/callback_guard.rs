//! A meter provider whose callbacks of observable instruments may panic, and whose views may.
//!
//! In the SDK, a panic in a callback ends the thread that exports, and leaves a lock behind that
//! no later collection can take. Here, it costs the values of that instrument in one collection.
//!
//! The SDK calls views where the program builds an instrument, such as in a handler. If one panics,
//! that instrument measures nothing.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{
    AsyncInstrumentBuilder, Callback, Counter, Gauge, Histogram, HistogramBuilder, InstrumentBuilder,
    InstrumentProvider, Meter, MeterProvider, NoopMeterProvider, ObservableCounter, ObservableGauge,
    ObservableUpDownCounter, UpDownCounter,
};

use crate::panic_guard::{SUBSCRIBER, VIEW, panics};

/// A provider of meters that catch panics in callbacks and views.
#[derive(Debug)]
pub(crate) struct CallbackGuard<P>(pub(crate) P);

impl<P: MeterProvider> MeterProvider for CallbackGuard<P> {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(GuardedMeter(self.0.meter_with_scope(scope))))
    }
}

struct GuardedMeter(Meter);

impl GuardedMeter {
    fn inner(&self) -> &dyn InstrumentProvider {
        self.0.u64_counter("").instrument_provider
    }
}

/// Implements methods that make instruments which the program calls.
macro_rules! instruments {
    ($($method:ident $instrument:ty),*) => {
        $(fn $method(&self, builder: InstrumentBuilder<'_, $instrument>) -> $instrument {
            VIEW.run(|| self.inner().$method(builder)).unwrap_or_else(|| noop().$method("").build())
        })*
    };
}

macro_rules! histograms {
    ($($method:ident $number:ty),*) => {
        $(fn $method(&self, builder: HistogramBuilder<'_, Histogram<$number>>) -> Histogram<$number> {
            VIEW.run(|| self.inner().$method(builder)).unwrap_or_else(|| noop().$method("").build())
        })*
    };
}

/// Implements methods that make instruments which call the program.
macro_rules! observables {
    ($($method:ident $instrument:ident $number:ty),*) => {
        $(fn $method(
            &self,
            mut builder: AsyncInstrumentBuilder<'_, $instrument<$number>, $number>,
        ) -> $instrument<$number> {
            guard(&builder.name, &mut builder.callbacks);
            VIEW.run(|| self.inner().$method(builder)).unwrap_or_else($instrument::new)
        })*
    };
}

impl InstrumentProvider for GuardedMeter {
    instruments! {
        u64_counter Counter<u64>,
        f64_counter Counter<f64>,
        i64_up_down_counter UpDownCounter<i64>,
        f64_up_down_counter UpDownCounter<f64>,
        u64_gauge Gauge<u64>,
        i64_gauge Gauge<i64>,
        f64_gauge Gauge<f64>
    }

    histograms! {
        u64_histogram u64,
        f64_histogram f64
    }

    observables! {
        u64_observable_counter ObservableCounter u64,
        f64_observable_counter ObservableCounter f64,
        i64_observable_up_down_counter ObservableUpDownCounter i64,
        f64_observable_up_down_counter ObservableUpDownCounter f64,
        u64_observable_gauge ObservableGauge u64,
        i64_observable_gauge ObservableGauge i64,
        f64_observable_gauge ObservableGauge f64
    }
}

/// Returns a meter whose instruments measure nothing.
#[cold]
fn noop() -> Meter {
    NoopMeterProvider::new().meter("")
}

/// Lets callbacks panic. The first panic of each is logged.
fn guard<T: 'static>(name: &str, callbacks: &mut [Callback<T>]) {
    for callback in callbacks {
        let name = name.to_owned();
        let is_logged = AtomicBool::default();
        let inner = mem::replace(callback, Box::new(|_| {}));
        *callback = Box::new(move |instrument| {
            if panics(&mut || inner(instrument)) && !is_logged.swap(true, Ordering::Relaxed) {
                SUBSCRIBER.run(|| log_panic(&name));
            }
        });
    }
}

#[cold]
fn log_panic(name: &str) {
    tracing::error!(
        target: "otel_setup",
        "a callback of the instrument {name:?} panicked, so its values are missing (logged once)"
    );
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics, SumDataPoint};
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

    use super::*;

    /// Returns the names, descriptions, units and sums that have been exported last.
    fn exported(exporter: &InMemoryMetricExporter) -> Vec<String> {
        let last = exporter.get_finished_metrics().unwrap().pop().unwrap();
        let metrics = last.scope_metrics().flat_map(ScopeMetrics::metrics);
        let mut lines: Vec<String> = metrics
            .map(|metric| {
                let value = match metric.data() {
                    AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                        format!("{:?}", sum.data_points().map(SumDataPoint::value).collect::<Vec<_>>())
                    }
                    AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                        let point = histogram.data_points().next().unwrap();
                        format!("{:?}", point.bounds().collect::<Vec<_>>())
                    }
                    other => format!("{other:?}"),
                };
                format!("{} {} {} {value}", metric.name(), metric.description(), metric.unit())
            })
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn a_panicking_callback_costs_one_collection_of_its_instrument() {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let meter = CallbackGuard(provider.clone()).meter("test");
        let must_panic = Arc::new(AtomicBool::new(true));
        let panics = Arc::clone(&must_panic);
        let _observable = meter
            .u64_observable_counter("observed")
            .with_description("what is seen")
            .with_unit("By")
            .with_callback(move |observer| {
                assert!(!panics.load(Ordering::Relaxed), "of the test");
                observer.observe(7, &[]);
            })
            .build();
        meter.u64_counter("counted").with_unit("{call}").build().add(1, &[]);
        let histogram = meter.f64_histogram("timed").with_boundaries(vec![1.0, 2.0]).build();
        histogram.record(1.5, &[]);
        provider.force_flush().unwrap();
        assert_eq!(exported(&exporter), ["counted  {call} [1]", "timed   [1.0, 2.0]"]);
        must_panic.store(false, Ordering::Relaxed);
        provider.force_flush().unwrap();
        assert_eq!(
            exported(&exporter),
            [
                "counted  {call} [1]",
                "observed what is seen By [7]",
                "timed   [1.0, 2.0]"
            ]
        );
        provider.shutdown().unwrap();
    }
}
