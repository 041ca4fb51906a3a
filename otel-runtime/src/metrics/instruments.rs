//! The instruments that a meter provides for RPCs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};

use crate::grpc::outcome::Outcome;
use crate::grpc::side::Side;
use crate::metrics::legacy::Legacy;
use crate::metrics::series::CallInstruments;
use crate::semconv;

/// All instruments of one meter.
pub(crate) struct Instruments {
    /// Unique in the process: methods cache their series under it.
    id: u64,
    server: Arc<CallInstruments>,
    client: Arc<CallInstruments>,
    legacy: Option<Legacy>,
    meter: Meter,
    message_sizes: OnceLock<MessageSizeInstruments>,
    /// The buckets of call durations, in seconds.
    boundaries: Box<[f64]>,
}

/// The meters that instruments are made with.
pub(crate) struct Meters {
    pub(crate) rpc: Meter,
    /// For instruments without data points.
    pub(crate) hook: Meter,
}

/// gRPC's own metrics of the messages of a server's call (gRFC A66).
struct MessageSizeInstruments {
    received: Histogram<u64>,
    sent: Histogram<u64>,
}

impl Instruments {
    /// Creates the instruments. `boundaries` are the buckets of call durations, in seconds.
    pub(crate) fn new(meters: Meters, boundaries: &[f64]) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);

        let Meters { rpc: meter, hook } = meters;

        Instruments {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            server: CallInstruments::new(
                (&hook, semconv::SERVER_ACTIVE_REQUESTS.name),
                call_duration(&meter, &semconv::SERVER_CALL_DURATION, boundaries),
                active_requests(&meter, &semconv::SERVER_ACTIVE_REQUESTS),
            ),
            client: CallInstruments::new(
                (&hook, semconv::CLIENT_ACTIVE_REQUESTS.name),
                call_duration(&meter, &semconv::CLIENT_CALL_DURATION, boundaries),
                active_requests(&meter, &semconv::CLIENT_ACTIVE_REQUESTS),
            ),
            legacy: Legacy::from_env(&meter),
            message_sizes: OnceLock::new(),
            boundaries: Box::from(boundaries),
            meter,
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

    /// Records the total size of the messages that one call of a server received and sent.
    ///
    /// The first call creates the instruments, so that a meter has them only if they are enabled.
    pub(crate) fn record_message_sizes(
        &self,
        grpc_method: &'static str,
        outcome: Outcome<'_>,
        received: Option<u64>,
        sent: Option<u64>,
    ) {
        let instruments = self.message_sizes.get_or_init(|| MessageSizeInstruments {
            received: message_size(&self.meter, &semconv::SERVER_CALL_RECEIVED_SIZE),
            sent: message_size(&self.meter, &semconv::SERVER_CALL_SENT_SIZE),
        });
        let attributes = [
            KeyValue::new(semconv::GRPC_METHOD, grpc_method),
            KeyValue::new(semconv::GRPC_STATUS, outcome.code_str()),
        ];
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
