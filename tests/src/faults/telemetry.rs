//! The telemetry of fault-injection rounds, and its checks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanProcessor, TracerProviderBuilder};
use otel_runtime::{Instrumentation, ServerLayer};

use super::outcomes::OutcomeCounts;
use super::{Recorded, faulty};
use crate::counted::{CountingTelemetry, Series};

/// The telemetry that records the RPCs of rounds.
#[derive(Debug)]
pub struct RoundTelemetry {
    counted: CountingTelemetry,
    tracers: SdkTracerProvider,
    pub(super) instrumentation: Instrumentation,
    /// The layer around another one. It discards spans until it has met the inner one, so all
    /// rounds have the same.
    pub(super) outer: ServerLayer,
    /// Whether a round has had the outer layer.
    has_nested: AtomicBool,
}

impl Default for RoundTelemetry {
    fn default() -> Self {
        RoundTelemetry::with(|tracers| tracers)
    }
}

impl RoundTelemetry {
    /// Creates telemetry whose spans also reach `exporter`.
    ///
    /// A processor before it panics now and then, so it does not see all spans.
    #[must_use]
    pub fn new(exporter: impl SpanProcessor + 'static) -> Self {
        RoundTelemetry::with(|tracers| tracers.with_span_processor(exporter))
    }

    fn with(configure: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder) -> Self {
        let counted = CountingTelemetry::default();
        let tracers = SdkTracerProvider::builder()
            .with_span_processor(counted.spans.clone())
            .with_span_processor(faulty::PanickingProcessor::default());
        let tracers = configure(tracers).build();
        let instrumentation = Instrumentation::builder()
            .tracer_provider(&tracers)
            .meter_provider(&counted.meters)
            .propagator(faulty::PanickingPropagator::default())
            .build();
        RoundTelemetry {
            counted,
            tracers,
            outer: super::server_layer(&instrumentation),
            instrumentation,
            has_nested: AtomicBool::new(false),
        }
    }

    /// Returns the number of spans that have ended.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.counted.spans.ended()
    }

    /// Shuts the tracer provider down: no more spans start, and no more ends are reported.
    pub fn shut_down_tracers(&self) {
        self.tracers.shutdown().unwrap();
    }

    /// Shuts the meter provider down: no more measurements are recorded.
    pub fn shut_down_meters(&self) {
        self.counted.meters.shutdown().unwrap();
    }

    /// Returns the counts of spans so far.
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

    /// Returns `true` for the first round with nested layers.
    pub(super) fn is_first_nested(&self) -> bool {
        !self.has_nested.swap(true, Ordering::Relaxed)
    }

    /// Returns the number of time series of each instrument.
    #[must_use]
    pub fn series(&self) -> BTreeMap<String, usize> {
        let series = self.counted.series().into_iter();
        series.map(|(instrument, series)| (instrument, series.len())).collect()
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

/// Counts the outcomes of RPCs by the attributes of their durations.
fn ends(series: &Series) -> OutcomeCounts {
    let mut ends = OutcomeCounts::new();
    for (labels, count) in series {
        // The label of a failure begins with `error.type`. `rpc.status_code` follows `rpc.method`.
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

/// Counts of recorded spans.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    started: u64,
    ended: u64,
    called: OutcomeCounts,
    served: OutcomeCounts,
}

impl Traced {
    /// Asserts that each RPC since `before` has one span with its outcome.
    pub fn assert_balance(&self, recorded: &Recorded, before: &Traced) {
        let Recorded {
            round, called, served, ..
        } = recorded;
        // A span that starts before its outer layer has met the inner one does not end.
        let discarded = if recorded.is_first_nested { round.callers } else { 0 };
        let started = self.started - before.started;
        assert!(
            (called + served..=called + served + discarded).contains(&started),
            "{round:?}: {started} spans started"
        );
        assert_eq!(self.ended - before.ended, called + served, "{round:?}: spans ended");
        let (clients, servers) = (since(&self.called, &before.called), since(&self.served, &before.served));
        recorded
            .clients
            .assert_match(&clients, &format!("{round:?}: spans of clients"));
        recorded
            .servers
            .assert_match(&servers, &format!("{round:?}: spans of servers"));
    }
}

/// Counts of recorded measurements.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    called: OutcomeCounts,
    served: OutcomeCounts,
    active: u64,
    /// The number of size measurements of received and of sent messages.
    sizes: [u64; 2],
}

impl Measured {
    /// Asserts that each RPC since `before` has one duration with its outcome, and none is active.
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
            .assert_match(&clients, &format!("{round:?}: durations of clients"));
        recorded
            .servers
            .assert_match(&servers, &format!("{round:?}: durations of servers"));
        assert_eq!(self.active, 0, "{round:?}: active requests");
        let sizes: [u64; 2] = std::array::from_fn(|index| self.sizes[index] - before.sizes[index]);
        let expected = if recorded.has_layer { *served } else { 0 };
        let [received, sent] = sizes;
        // Nobody reads the request of an unknown method.
        assert!(
            received <= expected && received >= expected / 2,
            "{round:?}: sizes of requests"
        );
        // A page is no message.
        let pages = if recorded.has_layer { recorded.pages } else { 0 };
        assert_eq!(sent, expected - pages, "{round:?}: sizes of responses");
    }
}

fn since(now: &OutcomeCounts, before: &OutcomeCounts) -> OutcomeCounts {
    let before = |end| before.get(end).copied().unwrap_or_default();
    let since = now.iter().map(|(end, count)| (end.clone(), count - before(end)));
    since.filter(|(_, count)| *count > 0).collect()
}
