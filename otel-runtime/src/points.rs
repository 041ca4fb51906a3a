//! The points of a method in the metrics, and how they are counted at the least cost.
//!
//! To look up a point by its attributes costs an instrument more than all the rest of an RPC. So what is known of a point is made once: its attributes, sorted, or, with the cargo feature
//! `bound-instruments`, the instrument bound to them. And active requests, which go up and down with each RPC, are added up here, and told to their instrument whenever somebody reads the metrics.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};

use crate::semconv;
use crate::status::{Outcome, Side};
use crate::sync::{AtomicBool, AtomicI64, Mutex, OnceLock, Ordering};

#[cfg(feature = "bound-instruments")]
type Bound = opentelemetry::metrics::BoundHistogram<f64>;
#[cfg(not(feature = "bound-instruments"))]
type Bound = Box<[KeyValue]>;

/// What the RPCs of one side are counted and timed with.
pub(crate) struct Instruments {
    call_duration: Histogram<f64>,
    active_requests: UpDownCounter<i64>,
    /// By the name of the method, and the client's target.
    points: Mutex<HashMap<Labels, Arc<Points>>>,
}

type Labels = (&'static str, Box<[KeyValue]>);

impl Instruments {
    pub(crate) fn new(meter: &Meter, call_duration: Histogram<f64>, active_requests: UpDownCounter<i64>) -> Arc<Self> {
        let instruments = Arc::new(Instruments {
            call_duration,
            active_requests,
            points: Mutex::default(),
        });
        let all = Arc::clone(&instruments);
        // It observes nothing, so nobody sees it. Its callback is called when the metrics are read, before they are.
        meter
            .i64_observable_gauge(semconv::READING)
            .with_callback(move |_| all.tell_active_requests())
            .build();
        instruments
    }

    /// The points of a method, the same for all who ask.
    pub(crate) fn points(&self, side: Side, name: &'static str, target: &[KeyValue]) -> Arc<Points> {
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        let points = points.entry((name, Box::from(target)));
        Arc::clone(points.or_insert_with(|| Arc::new(Points::new(self.call_duration.clone(), side, name, target))))
    }

    fn tell_active_requests(&self) {
        let points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        for points in points.values() {
            let change = points.active.change.swap(0, Ordering::Relaxed);
            if change != 0 || !points.active.is_told.swap(true, Ordering::Relaxed) {
                self.active_requests.add(change, &points.attributes);
            }
        }
    }
}

/// The points of one method.
pub(crate) struct Points {
    side: Side,
    name: &'static str,
    target: Box<[KeyValue]>,
    attributes: Box<[KeyValue]>,
    call_duration: Histogram<f64>,
    ended: [OnceLock<Bound>; Outcome::COUNT],
    active: Active,
}

/// On a cache line of its own: all threads write it, and only read the rest.
#[repr(align(64))]
struct Active {
    /// By how much the number has changed since it was told.
    change: AtomicI64,
    /// Whether there is a point already, be it of none.
    is_told: AtomicBool,
}

impl Points {
    fn new(call_duration: Histogram<f64>, side: Side, name: &'static str, target: &[KeyValue]) -> Self {
        Points {
            side,
            name,
            target: Box::from(target),
            attributes: sorted(labels(name).to_vec()),
            call_duration,
            ended: std::array::from_fn(|_| OnceLock::new()),
            active: Active {
                change: AtomicI64::new(0),
                is_told: AtomicBool::new(false),
            },
        }
    }

    /// Adds to the number of RPCs that are under way.
    #[inline]
    pub(crate) fn count_active(&self, change: i64) {
        self.active.change.fetch_add(change, Ordering::Relaxed);
    }

    /// Records the duration of one RPC, in seconds.
    pub(crate) fn record_duration(&self, seconds: f64, outcome: Outcome<'_>) {
        match outcome.index() {
            Some(index) => self.record(seconds, self.ended[index].get_or_init(|| self.bind(outcome))),
            None => self.call_duration.record(seconds, &self.ended(outcome)),
        }
    }

    #[cfg(feature = "bound-instruments")]
    fn bind(&self, outcome: Outcome<'_>) -> Bound {
        self.call_duration.bind(&self.ended(outcome))
    }

    #[cfg(not(feature = "bound-instruments"))]
    fn bind(&self, outcome: Outcome<'_>) -> Bound {
        self.ended(outcome)
    }

    #[cfg(feature = "bound-instruments")]
    #[allow(clippy::unused_self)]
    #[inline]
    fn record(&self, seconds: f64, call_duration: &Bound) {
        call_duration.record(seconds);
    }

    #[cfg(not(feature = "bound-instruments"))]
    #[inline]
    fn record(&self, seconds: f64, attributes: &Bound) {
        self.call_duration.record(seconds, attributes);
    }

    /// The attributes of an RPC that has ended.
    fn ended(&self, outcome: Outcome<'_>) -> Box<[KeyValue]> {
        let mut attributes = labels(self.name).to_vec();
        attributes.extend_from_slice(&self.target);
        attributes.push(KeyValue::new(semconv::RPC_STATUS_CODE, outcome.code_name()));
        let error = outcome.error_type(self.side);
        attributes.extend(error.map(|error| KeyValue::new(semconv::ERROR_TYPE, error)));
        sorted(attributes)
    }
}

/// The attributes that every metric point of a method has.
fn labels(name: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC),
        KeyValue::new(semconv::RPC_METHOD, name),
    ]
}

/// Attributes of a metric point. The SDK finds a point faster when its attributes come sorted.
fn sorted(mut attributes: Vec<KeyValue>) -> Box<[KeyValue]> {
    attributes.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    attributes.into_boxed_slice()
}
