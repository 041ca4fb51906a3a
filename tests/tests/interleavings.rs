//! Model checks of concurrent updates to a method's metrics: none is lost or counted twice.
//!
//! The test compiles `metrics/series.rs` of the runtime with loom's atomics and locks. loom runs
//! each test with every interleaving of the threads, and every possible value of a relaxed load.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use grpc::outcome::Outcome;
use grpc::side::Side;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    AsyncInstrument, AsyncInstrumentBuilder, Callback, Histogram, HistogramBuilder, InstrumentBuilder,
    InstrumentProvider, Meter, ObservableUpDownCounter, SyncInstrument, UpDownCounter,
};
use series::{CallInstruments, MethodMetrics};

#[allow(dead_code)]
#[path = "../../otel-runtime/src/limits.rs"]
mod limits;
#[allow(dead_code)]
#[path = "../../otel-runtime/src/semconv.rs"]
mod semconv;
#[allow(dead_code)]
#[path = "../../otel-runtime/src/metrics/series.rs"]
mod series;

/// The part of the runtime's module `grpc` that the time series need.
#[allow(dead_code)]
#[path = "../../otel-runtime/src/grpc"]
mod grpc {
    pub(crate) mod outcome;
    pub(crate) mod side;
}

/// A replacement of the runtime's module `sync`, with loom's types.
mod sync {
    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicI64, Ordering};

    /// A replacement of `OnceLock`, which loom lacks. Other threads block during initialization.
    pub(crate) struct OnceLock<T: 'static>(Mutex<Option<&'static T>>);

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            OnceLock(Mutex::new(None))
        }

        pub(crate) fn get(&self) -> Option<&T> {
            *self.0.lock().unwrap()
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            let mut value = self.0.lock().unwrap();
            value.get_or_insert_with(|| Box::leak(Box::new(make())))
        }
    }
}

/// The only method. With several, the random order of a hash map would make runs differ.
const METHOD: &str = "helloworld.Greeter/SayHello";

/// The recorded measurements.
///
/// The locks are not loom's, so loom treats each recording as one step.
#[derive(Default)]
struct Measurements {
    /// The changes of active requests, in order.
    changes: Mutex<Vec<i64>>,
    /// The number of durations by status code.
    durations: Mutex<BTreeMap<String, u64>>,
    /// The number of bound instruments by status code.
    bindings: Mutex<BTreeMap<String, u64>>,
    on_reading: Mutex<Vec<Callback<i64>>>,
}

fn value(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.unwrap().value.to_string()
}

struct ActiveRequests(Arc<Measurements>);

impl SyncInstrument<i64> for ActiveRequests {
    fn measure(&self, change: i64, attributes: &[KeyValue]) {
        assert_eq!(value(attributes, "rpc.method"), METHOD);
        self.0.changes.lock().unwrap().push(change);
    }
}

struct CallDuration(Arc<Measurements>);

impl SyncInstrument<f64> for CallDuration {
    fn measure(&self, _: f64, attributes: &[KeyValue]) {
        let code = value(attributes, "rpc.status_code");
        *self.0.durations.lock().unwrap().entry(code).or_default() += 1;
    }

    #[cfg(feature = "bound-instruments")]
    fn bind(&self, attributes: &[KeyValue]) -> Box<dyn opentelemetry::metrics::BoundSyncInstrument<f64> + Send + Sync> {
        struct Bound(CallDuration, Vec<KeyValue>);

        impl opentelemetry::metrics::BoundSyncInstrument<f64> for Bound {
            fn measure(&self, seconds: f64) {
                self.0.measure(seconds, &self.1);
            }
        }

        let code = value(attributes, "rpc.status_code");
        *self.0.bindings.lock().unwrap().entry(code).or_default() += 1;
        Box::new(Bound(CallDuration(Arc::clone(&self.0)), attributes.to_vec()))
    }
}

struct Provider(Arc<Measurements>);

impl InstrumentProvider for Provider {
    fn f64_histogram(&self, _: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        Histogram::new(Arc::new(CallDuration(Arc::clone(&self.0))))
    }

    fn i64_up_down_counter(&self, _: InstrumentBuilder<'_, UpDownCounter<i64>>) -> UpDownCounter<i64> {
        UpDownCounter::new(Arc::new(ActiveRequests(Arc::clone(&self.0))))
    }

    fn i64_observable_up_down_counter(
        &self,
        counter: AsyncInstrumentBuilder<'_, ObservableUpDownCounter<i64>, i64>,
    ) -> ObservableUpDownCounter<i64> {
        self.0.on_reading.lock().unwrap().extend(counter.callbacks);
        ObservableUpDownCounter::new()
    }
}

struct Nobody;

impl AsyncInstrument<i64> for Nobody {
    fn observe(&self, _: i64, _: &[KeyValue]) {
        unreachable!("the runtime observes nothing");
    }
}

/// The instruments of a server's RPCs, and the values that they recorded.
#[derive(Clone)]
struct Server {
    instruments: Arc<CallInstruments>,
    measurements: Arc<Measurements>,
    read: Arc<[Callback<i64>]>,
}

impl Server {
    fn new() -> Self {
        let measurements = Arc::new(Measurements::default());
        let meter = Meter::new(Arc::new(Provider(Arc::clone(&measurements))));
        let instruments = CallInstruments::new(
            (&meter, "rpc.server.active_requests"),
            meter.f64_histogram("duration").build(),
            meter.i64_up_down_counter("active").build(),
        );
        let read = std::mem::take(&mut *measurements.on_reading.lock().unwrap()).into();
        Server {
            instruments,
            measurements,
            read,
        }
    }

    fn method(&self) -> Arc<MethodMetrics> {
        self.instruments.method(Side::Server, METHOD, &[])
    }

    /// Collects the metrics.
    fn read(&self) {
        for callback in &*self.read {
            callback(&Nobody);
        }
    }

    fn changes(&self) -> Vec<i64> {
        self.measurements.changes.lock().unwrap().clone()
    }
}

/// Runs the closures on concurrent threads, and waits for all of them.
fn at_once<const N: usize>(threads: [Box<dyn FnOnce() + Send>; N]) {
    for thread in threads.map(loom::thread::spawn) {
        thread.join().unwrap();
    }
}

#[test]
fn active_requests_add_up_during_concurrent_collections() {
    loom::model(|| {
        let server = Server::new();
        let [one, other, reader] = [(); 3].map(|()| server.clone());
        at_once([
            Box::new(move || {
                let metrics = one.method();
                metrics.add_active(1);
                metrics.add_active(-1);
            }),
            Box::new(move || other.method().add_active(1)),
            Box::new(move || reader.read()),
        ]);
        server.read();

        let mut active = 0;
        for change in server.changes() {
            active += change;
            assert!((0..=2).contains(&active), "{active} at a moment");
        }
        assert_eq!(active, 1);
    });
}

#[test]
fn concurrent_collections_report_each_change_once() {
    loom::model(|| {
        let server = Server::new();
        server.method().add_active(1);
        let [one, other, counting] = [(); 3].map(|()| server.clone());
        at_once([
            Box::new(move || one.read()),
            Box::new(move || other.read()),
            Box::new(move || counting.method().add_active(-1)),
        ]);
        server.read();

        assert_eq!(server.changes().iter().sum::<i64>(), 0);
    });
}

#[test]
fn zero_active_requests_is_reported_once() {
    loom::model(|| {
        let server = Server::new();
        let _metrics = server.method();
        let [one, other] = [(); 2].map(|()| server.clone());
        at_once([Box::new(move || one.read()), Box::new(move || other.read())]);
        server.read();

        assert_eq!(server.changes(), [0]);
    });
}

#[test]
fn method_has_one_set_of_time_series() {
    loom::model(|| {
        let server = Server::new();
        let [one, other] = [(); 2].map(|()| {
            let server = server.clone();
            loom::thread::spawn(move || server.method())
        });
        let [one, other] = [one, other].map(|thread| thread.join().unwrap());
        assert!(Arc::ptr_eq(&one, &other));
        assert!(Arc::ptr_eq(&one, &server.method()));
    });
}

#[test]
fn no_duration_is_lost_while_its_series_is_created() {
    loom::model(|| {
        let server = Server::new();
        let metrics = server.method();
        let [one, other] = [(); 2].map(|()| Arc::clone(&metrics));
        at_once([
            Box::new(move || {
                one.record_duration(0.1, Outcome::OK);
                one.record_duration(0.1, Outcome::CANCELLED);
            }),
            Box::new(move || {
                other.record_duration(0.1, Outcome::CANCELLED);
                other.record_duration(0.1, Outcome::OK);
            }),
        ]);

        let counts = |count| BTreeMap::from([("CANCELLED".to_owned(), count), ("OK".to_owned(), count)]);
        assert_eq!(*server.measurements.durations.lock().unwrap(), counts(2));
        // With the feature, each duration is bound once.
        let bindings = if cfg!(feature = "bound-instruments") {
            counts(1)
        } else {
            BTreeMap::new()
        };
        assert_eq!(*server.measurements.bindings.lock().unwrap(), bindings);
    });
}
