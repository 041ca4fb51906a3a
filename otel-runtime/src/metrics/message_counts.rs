//! Counters of started calls and of messages, which go up while a stream runs.
//!
//! Adding to a counter for each message would cost more than the message. So atomics count, and are
//! reported to their instruments when the metrics are collected, as active requests are.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use crate::grpc::side::{Direction, Side};
use crate::semconv;

/// The counters of one side.
pub(crate) struct MessageCounters {
    instruments: [Counter<u64>; 3],
    /// Sorted by name.
    methods: Mutex<Vec<Arc<MethodCounts>>>,
}

/// The started calls and the messages of one method since the last collection.
///
/// Aligned to a cache line of its own, since all threads write it.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct MethodCounts {
    name: &'static str,
    /// The address of the client's target.
    target: Box<[KeyValue]>,
    /// In the order of [`MessageCounters::instruments`]: started calls, received messages, sent
    /// messages.
    counts: [AtomicI64; 3],
    attributes: Box<[KeyValue]>,
}

impl MethodCounts {
    /// Counts a call that has started, or takes one back.
    pub(crate) fn add_started(&self, change: i64) {
        self.counts[0].fetch_add(change, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn add_messages(&self, direction: Direction, messages: u64) {
        let count = match direction {
            Direction::Received => &self.counts[1],
            Direction::Sent => &self.counts[2],
        };
        count.fetch_add(messages.cast_signed(), Ordering::Relaxed);
    }
}

impl MessageCounters {
    /// Creates the counters. `hook` is the meter of the instruments without data points.
    pub(crate) fn new(side: Side, meter: &Meter, hook: &Meter) -> Arc<Self> {
        let names = match side {
            Side::Server => &semconv::SERVER_MESSAGE_COUNTERS,
            Side::Client => &semconv::CLIENT_MESSAGE_COUNTERS,
        };
        let counter = |index: usize| {
            meter
                .u64_counter(names[index].name)
                .with_unit(names[index].unit)
                .with_description(names[index].description)
                .build()
        };
        let counters = Arc::new(MessageCounters {
            instruments: std::array::from_fn(counter),
            methods: Mutex::default(),
        });
        for (index, instrument) in names.iter().enumerate() {
            let reporter = Arc::clone(&counters);
            // Never observes a value, and has the name of its counter: a view selects both.
            hook.u64_observable_counter(instrument.name)
                .with_callback(move |_| reporter.report(index))
                .build();
        }
        counters
    }

    /// Returns the counts of a method, shared by all callers with the same name and target.
    pub(crate) fn method(
        &self,
        name: &'static str,
        target: &[KeyValue],
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Arc<MethodCounts> {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let at = methods.partition_point(|known| known.name < name);
        let mut same_name = methods[at..].iter().take_while(|known| known.name == name);
        if let Some(known) = same_name.find(|known| *known.target == *target) {
            return Arc::clone(known);
        }
        let counts = Arc::new(MethodCounts {
            name,
            target: Box::from(target),
            counts: [const { AtomicI64::new(0) }; 3],
            attributes: attributes().into_boxed_slice(),
        });
        methods.insert(at, Arc::clone(&counts));
        counts
    }

    fn report(&self, index: usize) {
        let methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        for method in methods.iter() {
            let count = &method.counts[index];
            let delta = count.swap(0, Ordering::Relaxed);
            match u64::try_from(delta) {
                Ok(0) => {}
                Ok(delta) => self.instruments[index].add(delta, &method.attributes),
                // A call has been taken back that has been reported.
                Err(_) => {
                    count.fetch_add(delta, Ordering::Relaxed);
                }
            }
        }
    }
}
