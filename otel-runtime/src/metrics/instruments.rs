//! The instruments that a meter provides for RPCs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};

use crate::grpc::outcome::Outcome;
use crate::grpc::side::Side;
use crate::metrics::attribute_set::AllSets;
use crate::metrics::legacy::Legacy;
use crate::metrics::message_counts::MessageCounters;
use crate::metrics::series::CallInstruments;
use crate::semconv;

/// All instruments of one meter.
pub(crate) struct Instruments {
    /// Unique in the process: methods cache their series under it.
    id: u64,
    server: Arc<CallInstruments>,
    client: Arc<CallInstruments>,
    legacy: Option<Legacy>,
    own_attributes: AllSets,
    meters: Meters,
    /// By side. Created when they are first used, so that a meter has them only if they
    /// are enabled.
    message_sizes: [OnceLock<MessageSizeInstruments>; 2],
    message_counters: [OnceLock<Arc<MessageCounters>>; 2],
    /// The buckets of call durations, in seconds.
    boundaries: Box<[f64]>,
}

/// The meters that instruments are made with.
pub(crate) struct Meters {
    pub(crate) rpc: Meter,
    /// For instruments without data points.
    pub(crate) hook: Meter,
}

/// gRPC's own metrics of the messages of a call (gRFC A66).
struct MessageSizeInstruments {
    received: Histogram<u64>,
    sent: Histogram<u64>,
}

impl Instruments {
    /// Creates the instruments. `boundaries` are the buckets of call durations, in seconds.
    pub(crate) fn new(meters: Meters, boundaries: &[f64]) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);

        let Meters { rpc: meter, hook } = &meters;

        Instruments {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            server: CallInstruments::new(
                (hook, semconv::SERVER_ACTIVE_REQUESTS.name),
                call_duration(meter, &semconv::SERVER_CALL_DURATION, boundaries),
                active_requests(meter, &semconv::SERVER_ACTIVE_REQUESTS),
            ),
            client: CallInstruments::new(
                (hook, semconv::CLIENT_ACTIVE_REQUESTS.name),
                call_duration(meter, &semconv::CLIENT_CALL_DURATION, boundaries),
                active_requests(meter, &semconv::CLIENT_ACTIVE_REQUESTS),
            ),
            legacy: Legacy::from_env(meter),
            own_attributes: AllSets::default(),
            message_sizes: [OnceLock::new(), OnceLock::new()],
            message_counters: [OnceLock::new(), OnceLock::new()],
            boundaries: Box::from(boundaries),
            meters,
        }
    }

    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    #[inline]
    pub(crate) fn call(&self, side: Side) -> &CallInstruments {
        match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        }
    }

    #[inline]
    pub(crate) fn boundaries(&self) -> &[f64] {
        &self.boundaries
    }

    /// Returns the legacy instruments, if `OTEL_SEMCONV_STABILITY_OPT_IN` enables them.
    #[inline]
    pub(crate) fn legacy(&self) -> Option<&Legacy> {
        self.legacy.as_ref()
    }

    /// Returns the attributes of the user's own that the time series have.
    pub(crate) fn own_attributes(&self) -> &AllSets {
        &self.own_attributes
    }

    /// Returns the counters of started calls and of messages.
    pub(crate) fn message_counters(&self, side: Side) -> &MessageCounters {
        let Meters { rpc, hook } = &self.meters;
        self.message_counters[side as usize].get_or_init(|| MessageCounters::new(side, rpc, hook))
    }

    /// Records the total size of the messages that one call received and sent.
    pub(crate) fn record_message_sizes(
        &self,
        side: Side,
        mut attributes: Vec<KeyValue>,
        outcome: Outcome<'_>,
        received: Option<u64>,
        sent: Option<u64>,
    ) {
        let (received_size, sent_size) = match side {
            Side::Server => (&semconv::SERVER_CALL_RECEIVED_SIZE, &semconv::SERVER_CALL_SENT_SIZE),
            Side::Client => (
                &semconv::CLIENT_ATTEMPT_RECEIVED_SIZE,
                &semconv::CLIENT_ATTEMPT_SENT_SIZE,
            ),
        };
        let instruments = self.message_sizes[side as usize].get_or_init(|| MessageSizeInstruments {
            received: message_size(&self.meters.rpc, received_size),
            sent: message_size(&self.meters.rpc, sent_size),
        });
        attributes.push(KeyValue::new(semconv::GRPC_STATUS, outcome.code_str()));
        for (histogram, size) in [(&instruments.received, received), (&instruments.sent, sent)] {
            if let Some(size) = size {
                histogram.record(size, &attributes);
            }
        }
    }
}

fn call_duration(meter: &Meter, instrument: &semconv::Instrument, boundaries: &[f64]) -> Histogram<f64> {
    meter
        .f64_histogram(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_boundaries(boundaries.to_vec())
        .build()
}

fn message_size(meter: &Meter, instrument: &semconv::Instrument) -> Histogram<u64> {
    meter
        .u64_histogram(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_boundaries(semconv::SIZE_BOUNDARIES.to_vec())
        .build()
}

fn active_requests(meter: &Meter, instrument: &semconv::Instrument) -> UpDownCounter<i64> {
    meter
        .i64_up_down_counter(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .build()
}
