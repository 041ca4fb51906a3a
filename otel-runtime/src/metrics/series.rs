//! The time series of a method, and how to record into them at the least cost.
//!
//! Looking up a series by its attributes costs an instrument more than the rest of a call. So a
//! series is prepared once: its sorted attributes, or, with the Cargo feature `bound-instruments`,
//! the instrument bound to them. Active requests go up and down with every call, so they are summed
//! in an atomic and reported to their instrument when the metrics are collected.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};

use crate::grpc::outcome::Outcome;
use crate::grpc::side::Side;
use crate::semconv;
use crate::sync::{AtomicBool, AtomicI64, Mutex, OnceLock, Ordering};

#[cfg(feature = "bound-instruments")]
type DurationSeries = opentelemetry::metrics::BoundHistogram<f64>;
#[cfg(not(feature = "bound-instruments"))]
type DurationSeries = Box<[KeyValue]>;

/// The instruments for the calls of one side.
pub(crate) struct CallInstruments {
    call_duration: Histogram<f64>,
    active_requests: UpDownCounter<i64>,
    methods: Mutex<HashMap<SeriesKey, Arc<MethodMetrics>>>,
}

/// The name of the method, and the address of the client's target with the user's attributes.
type SeriesKey = (&'static str, Box<[KeyValue]>);

impl CallInstruments {
    /// Creates the instruments. `hook` is a meter of its own, and the name of `active_requests`.
    pub(crate) fn new(
        (hook, name): (&Meter, &'static str),
        call_duration: Histogram<f64>,
        active_requests: UpDownCounter<i64>,
    ) -> Arc<Self> {
        let instruments = Arc::new(CallInstruments {
            call_duration,
            active_requests,
            methods: Mutex::default(),
        });
        let reporter = Arc::clone(&instruments);
        // This counter never observes a value, so it is never exported. The SDK calls its callback
        // before it collects the other instruments. A view that drops or keeps the other
        // instrument does the same to this one: they share a name, and their kind nearly.
        hook.i64_observable_up_down_counter(name)
            .with_callback(move |_| reporter.report_active_requests())
            .build();
        instruments
    }

    /// Returns the metrics of a method, shared by all callers with the same name and target.
    pub(crate) fn method(&self, side: Side, name: &'static str, target: &[KeyValue]) -> Arc<MethodMetrics> {
        self.method_with(side, name, target, &[])
    }

    /// Returns the metrics of a method, all of which have the attributes `extra`.
    pub(crate) fn method_with(
        &self,
        side: Side,
        name: &'static str,
        target: &[KeyValue],
        extra: &[KeyValue],
    ) -> Arc<MethodMetrics> {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = methods
            .entry((name, [target, extra].concat().into_boxed_slice()))
            .or_insert_with(|| {
                Arc::new(MethodMetrics::new(
                    self.call_duration.clone(),
                    side,
                    name,
                    target,
                    extra,
                ))
            });
        Arc::clone(metrics)
    }

    fn report_active_requests(&self) {
        let methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        for metrics in methods.values() {
            let delta = metrics.active.delta.swap(0, Ordering::Relaxed);
            let is_new = || metrics.is_used() && !metrics.active.reported.swap(true, Ordering::Relaxed);
            if delta != 0 || is_new() {
                self.active_requests.add(delta, &metrics.attributes);
            }
        }
    }
}

/// The time series of one method.
pub(crate) struct MethodMetrics {
    side: Side,
    name: &'static str,
    target: Box<[KeyValue]>,
    /// The user's own attributes.
    extra: Box<[KeyValue]>,
    /// The attributes of its active requests.
    attributes: Box<[KeyValue]>,
    call_duration: Histogram<f64>,
    by_outcome: [OnceLock<DurationSeries>; Outcome::COUNT],
    active: ActiveRequests,
}

/// The change in active requests since the last collection.
///
/// Aligned to a cache line of its own: all threads write it, but only read the other fields.
#[repr(align(64))]
struct ActiveRequests {
    delta: AtomicI64,
    /// Whether the series exists, if only with the value zero.
    reported: AtomicBool,
}

impl MethodMetrics {
    fn new(
        call_duration: Histogram<f64>,
        side: Side,
        name: &'static str,
        target: &[KeyValue],
        extra: &[KeyValue],
    ) -> Self {
        MethodMetrics {
            side,
            name,
            target: Box::from(target),
            extra: Box::from(extra),
            attributes: sorted([&base_attributes(name)[..], extra].concat()),
            call_duration,
            by_outcome: std::array::from_fn(|_| OnceLock::new()),
            active: ActiveRequests {
                delta: AtomicI64::new(0),
                reported: AtomicBool::new(false),
            },
        }
    }

    /// Returns `true` if calls of this method have ended, and not of one that became known
    /// meanwhile.
    fn is_used(&self) -> bool {
        self.name != semconv::OTHER || self.by_outcome.iter().any(|series| series.get().is_some())
    }

    /// Adds to the number of active requests.
    #[inline]
    pub(crate) fn add_active(&self, change: i64) {
        self.active.delta.fetch_add(change, Ordering::Relaxed);
    }

    /// Records the duration of one call, in seconds.
    // Always inlined, although it has a second caller: saves 15 instructions.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn record_duration(&self, seconds: f64, outcome: Outcome<'_>) {
        match outcome.metric_index() {
            Some(index) => self.record(seconds, self.by_outcome[index].get_or_init(|| self.bind(outcome))),
            None => self.call_duration.record(seconds, &self.duration_attributes(outcome)),
        }
    }

    #[cfg(feature = "bound-instruments")]
    fn bind(&self, outcome: Outcome<'_>) -> DurationSeries {
        self.call_duration.bind(&self.duration_attributes(outcome))
    }

    #[cfg(not(feature = "bound-instruments"))]
    fn bind(&self, outcome: Outcome<'_>) -> DurationSeries {
        self.duration_attributes(outcome)
    }

    #[cfg(feature = "bound-instruments")]
    #[allow(clippy::unused_self)]
    #[inline]
    fn record(&self, seconds: f64, series: &DurationSeries) {
        series.record(seconds);
    }

    #[cfg(not(feature = "bound-instruments"))]
    #[inline]
    fn record(&self, seconds: f64, series: &DurationSeries) {
        self.call_duration.record(seconds, series);
    }

    pub(crate) fn duration_attributes(&self, outcome: Outcome<'_>) -> Box<[KeyValue]> {
        let mut attributes = base_attributes(self.name).to_vec();
        attributes.extend_from_slice(&self.target);
        attributes.extend_from_slice(&self.extra);
        attributes.push(KeyValue::new(semconv::RPC_STATUS_CODE, outcome.code_str()));
        let error_type = outcome.error_type(self.side);
        attributes.extend(error_type.map(|error_type| KeyValue::new(semconv::ERROR_TYPE, error_type)));
        sorted(attributes)
    }
}

impl fmt::Debug for MethodMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodMetrics").finish_non_exhaustive()
    }
}

/// Returns the attributes that every data point of a method has.
fn base_attributes(name: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC),
        KeyValue::new(semconv::RPC_METHOD, name),
    ]
}

/// Sorts attributes by key: the SDK then skips sorting them for each record.
fn sorted(attributes: Vec<KeyValue>) -> Box<[KeyValue]> {
    // By insertion, as there are a few: `sort` would be much code for that.
    let mut sorted: Vec<KeyValue> = Vec::with_capacity(attributes.len());
    for attribute in attributes {
        let at = sorted.partition_point(|before| before.key <= attribute.key);
        sorted.insert(at, attribute);
    }
    sorted.into_boxed_slice()
}
