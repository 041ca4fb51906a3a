//! The telemetry of a round, and the checks on it.

use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanProcessor, TracerProviderBuilder};
use otel_runtime::Instrumentation;

use super::ends::Ends;
use super::{Recorded, unsteady};
use crate::counted::{Counted, Series};

/// The telemetry that rounds are recorded with.
#[derive(Debug)]
pub struct Books {
    counted: Counted,
    tracers: SdkTracerProvider,
    pub(super) instrumentation: Instrumentation,
}

impl Default for Books {
    fn default() -> Self {
        Books::of(|tracers| tracers)
    }
}

impl Books {
    /// Whose spans go to `exporter` as well, if that gets to see them: in front of it is a
    /// processor that panics now and then.
    #[must_use]
    pub fn new(exporter: impl SpanProcessor + 'static) -> Self {
        Books::of(|tracers| tracers.with_span_processor(exporter))
    }

    fn of(and: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder) -> Self {
        let counted = Counted::default();
        let tracers = SdkTracerProvider::builder()
            .with_span_processor(counted.spans.clone())
            .with_span_processor(unsteady::Processor::default());
        let tracers = and(tracers).build();
        let instrumentation = Instrumentation::builder()
            .tracer_provider(&tracers)
            .meter_provider(&counted.meters)
            .propagator(unsteady::Propagator::default())
            .build();
        Books {
            counted,
            tracers,
            instrumentation,
        }
    }

    /// How many spans have ended.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.counted.spans.ended()
    }

    /// No span starts from now on, and none that has started is seen to end.
    pub fn shut_down_tracers(&self) {
        self.tracers.shutdown().unwrap();
    }

    /// Nothing is measured from now on.
    pub fn shut_down_meters(&self) {
        self.counted.meters.shutdown().unwrap();
    }

    /// Returns the spans so far.
    #[must_use]
    pub fn traced(&self) -> Traced {
        let spans = &self.counted.spans;
        Traced {
            started: spans.started(),
            ended: spans.ended(),
            called: spans.ends(&SpanKind::Client),
            served: spans.ends(&SpanKind::Server),
        }
    }

    /// Returns the measurements so far.
    #[must_use]
    pub fn measured(&self) -> Measured {
        let mut found = self.counted.series();
        let mut series = |instrument: &str| found.remove(instrument).unwrap_or_default();
        let sizes = ["rcvd", "sent"].map(|direction| {
            let sizes = series(&format!("grpc.server.call.{direction}_total_compressed_message_size"));
            sizes.into_values().map(i64::unsigned_abs).sum()
        });
        let active = ["server", "client"].map(|side| {
            let active = series(&format!("rpc.{side}.active_requests"));
            active.into_values().map(i64::unsigned_abs).sum::<u64>()
        });
        Measured {
            called: ends(&series("rpc.client.call.duration")),
            served: ends(&series("rpc.server.call.duration")),
            active: active.iter().sum(),
            sizes,
        }
    }
}

/// The ends that the labels of durations tell.
fn ends(series: &Series) -> Ends {
    let mut ends = Ends::new();
    for (labels, count) in series {
        // A failure has `error.type` first; `rpc.status_code` comes after `rpc.method`.
        let mut words = labels
            .split(' ')
            .skip_while(|word| *word != "panic" && !is_method(word));
        let end = match words.next() {
            Some("panic") => "panic",
            _ => words.next().unwrap(),
        };
        *ends.entry(end.to_owned()).or_default() += u64::try_from(*count).unwrap();
    }
    ends
}

fn is_method(word: &str) -> bool {
    word == "_OTHER" || word.contains('/')
}

/// The recorded spans.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    started: u64,
    ended: u64,
    called: Ends,
    served: Ends,
}

impl Traced {
    /// Asserts that there is a span for each RPC that was made since `before`, and that it says how
    /// that ended.
    pub fn assert_balance(&self, recorded: &Recorded, before: &Traced) {
        let Recorded {
            round, called, served, ..
        } = recorded;
        assert_eq!(
            self.started - before.started,
            called + served,
            "{round:?}: spans started"
        );
        assert_eq!(self.ended - before.ended, called + served, "{round:?}: spans ended");
        let (clients, servers) = (since(&self.called, &before.called), since(&self.served, &before.served));
        recorded
            .clients
            .assert_are(&clients, &format!("{round:?}: spans of clients"));
        recorded
            .servers
            .assert_are(&servers, &format!("{round:?}: spans of servers"));
    }
}

/// The recorded measurements.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    called: Ends,
    served: Ends,
    active: u64,
    /// Messages received, and messages sent.
    sizes: [u64; 2],
}

impl Measured {
    /// Asserts that each RPC that was made since `before` has been measured, with its end, and that
    /// none is active.
    pub fn assert_balance(&self, recorded: &Recorded, before: &Measured) {
        let Recorded {
            round, called, served, ..
        } = recorded;
        let (clients, servers) = (since(&self.called, &before.called), since(&self.served, &before.served));
        assert_eq!(
            clients.values().sum::<u64>(),
            *called,
            "{round:?}: durations of clients"
        );
        assert_eq!(
            servers.values().sum::<u64>(),
            *served,
            "{round:?}: durations of servers"
        );
        recorded
            .clients
            .assert_are(&clients, &format!("{round:?}: durations of clients"));
        recorded
            .servers
            .assert_are(&servers, &format!("{round:?}: durations of servers"));
        assert_eq!(self.active, 0, "{round:?}: active requests");
        let sizes: [u64; 2] = std::array::from_fn(|index| self.sizes[index] - before.sizes[index]);
        let expected = if recorded.has_layer { *served } else { 0 };
        let [received, sent] = sizes;
        // Nobody reads the request of an unknown method.
        assert!(
            received <= expected && received >= expected / 2,
            "{round:?}: sizes of requests"
        );
        assert_eq!(sent, expected, "{round:?}: sizes of responses");
    }
}

fn since(now: &Ends, before: &Ends) -> Ends {
    let before = |end| before.get(end).copied().unwrap_or_default();
    let since = now.iter().map(|(end, count)| (end.clone(), count - before(end)));
    since.filter(|(_, count)| *count > 0).collect()
}
