//! Exemplars: the last sampled call in each bucket of a call duration.
//!
//! The SDK for Rust has no exemplars, and its types cannot be created outside of it. So an exporter
//! enables these, and adds them to the data points. This module goes away once the SDK has its own.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, TraceId};

use crate::grpc::outcome::Outcome;

/// The calls that may become exemplars: the values of [`OTEL_METRICS_EXEMPLAR_FILTER`].
///
/// [`OTEL_METRICS_EXEMPLAR_FILTER`]: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#exemplar
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExemplarFilter {
    /// No calls. Calls then cost nothing more.
    AlwaysOff,
    /// Calls with a sampled span.
    TraceBased,
    /// Calls with a span.
    AlwaysOn,
}

/// The last call in a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The trace of the call.
    pub trace_id: TraceId,
    /// The span of the call.
    pub span_id: SpanId,
    /// The duration of the call, in seconds.
    pub value: f64,
    /// The end of the call.
    pub time: SystemTime,
}

/// The exemplars of one series of `rpc.server.call.duration` or `rpc.client.call.duration`.
#[derive(Clone, Debug)]
pub struct SeriesExemplars {
    /// The name of the metric.
    pub metric: &'static str,
    /// The attributes of the data point.
    pub attributes: &'static [KeyValue],
    /// At most one for each bucket.
    pub exemplars: Vec<Exemplar>,
}

static FILTER: AtomicU8 = AtomicU8::new(ExemplarFilter::AlwaysOff as u8);

/// All series with exemplars. They are as many as methods and outcomes, and those are bounded.
static SERIES: Mutex<Vec<&'static Series>> = Mutex::new(Vec::new());

/// Sets which calls become exemplars. The default is none.
pub fn set_filter(filter: ExemplarFilter) {
    FILTER.store(filter as u8, Ordering::Relaxed);
}

/// Returns the exemplars of all series.
#[must_use]
pub fn collect() -> Vec<SeriesExemplars> {
    let series = SERIES.lock().unwrap_or_else(PoisonError::into_inner);
    let exemplars = series.iter().map(|series| SeriesExemplars {
        metric: series.metric,
        attributes: &series.attributes,
        exemplars: series.buckets.iter().filter_map(Bucket::load).collect(),
    });
    exemplars.collect()
}

#[inline]
pub(crate) fn are_enabled() -> bool {
    FILTER.load(Ordering::Relaxed) != ExemplarFilter::AlwaysOff as u8
}

#[inline]
fn accepts(span: &SpanContext) -> bool {
    span.is_sampled() || FILTER.load(Ordering::Relaxed) == ExemplarFilter::AlwaysOn as u8
}

/// The exemplars of one method, by the outcome of its calls.
///
/// Allocated with the first exemplar of the method and of the outcome.
#[derive(Default)]
pub(crate) struct MethodExemplars(OnceLock<Box<ByOutcome>>);

type ByOutcome = [OnceLock<&'static Series>; Outcome::COUNT];

#[cold]
fn empty() -> Box<ByOutcome> {
    Box::new(std::array::from_fn(|_| OnceLock::new()))
}

impl MethodExemplars {
    /// Stores a call that started at `start` and took `elapsed`. `describe` returns the name of the
    /// metric and the attributes of the call's series.
    #[inline]
    pub(crate) fn record(
        &self,
        outcome: Outcome<'_>,
        boundaries: &[f64],
        span: &SpanContext,
        start: SystemTime,
        elapsed: Duration,
        describe: impl FnOnce() -> (&'static str, Box<[KeyValue]>),
    ) {
        let Some(index) = outcome.metric_index().filter(|_| accepts(span)) else {
            return;
        };
        let series = self.0.get_or_init(empty)[index].get_or_init(|| Series::leak(boundaries.len() + 1, describe()));
        let seconds = elapsed.as_secs_f64();
        // Buckets include their upper boundary. Most calls are in one of the first.
        let bucket = boundaries.iter().position(|boundary| seconds <= *boundary);
        // Instrumentations with other boundaries share these buckets.
        if let Some(bucket) = series.buckets.get(bucket.unwrap_or(boundaries.len())) {
            let start = start.duration_since(UNIX_EPOCH).unwrap_or_default();
            bucket.store(span, seconds, nanoseconds(start).wrapping_add(nanoseconds(elapsed)));
        }
    }
}

struct Series {
    metric: &'static str,
    attributes: Box<[KeyValue]>,
    buckets: Box<[Bucket]>,
}

impl Series {
    #[cold]
    fn leak(buckets: usize, (metric, attributes): (&'static str, Box<[KeyValue]>)) -> &'static Self {
        let series = Box::leak(Box::new(Series {
            metric,
            attributes,
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
        }));
        SERIES.lock().unwrap_or_else(PoisonError::into_inner).push(series);
        series
    }
}

/// The last exemplar of a bucket, in a sequence lock: a writer never waits, and a reader sees the
/// fields of one writer.
#[derive(Default)]
struct Bucket {
    /// Odd while a thread writes; zero if none has.
    sequence: AtomicU64,
    trace_id_high: AtomicU64,
    trace_id_low: AtomicU64,
    span_id: AtomicU64,
    value: AtomicU64,
    nanos: AtomicU64,
}

impl Bucket {
    /// Stores an exemplar, unless another thread is storing one right now.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the halves of an id")]
    fn store(&self, span: &SpanContext, value: f64, nanos: u64) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        let is_free = sequence.is_multiple_of(2);
        if !is_free
            || self
                .sequence
                .compare_exchange(sequence, sequence + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        fence(Ordering::Release);
        let trace_id = u128::from_be_bytes(span.trace_id().to_bytes());
        self.trace_id_high.store((trace_id >> 64) as u64, Ordering::Relaxed);
        self.trace_id_low.store(trace_id as u64, Ordering::Relaxed);
        self.span_id
            .store(u64::from_be_bytes(span.span_id().to_bytes()), Ordering::Relaxed);
        self.value.store(value.to_bits(), Ordering::Relaxed);
        self.nanos.store(nanos, Ordering::Relaxed);
        self.sequence.store(sequence + 2, Ordering::Release);
    }

    fn load(&self) -> Option<Exemplar> {
        // A writer takes nanoseconds. If another one always follows, this scrape has no exemplar.
        (0..100).find_map(|_| {
            let sequence = self.sequence.load(Ordering::Acquire);
            let [high, low, span_id, value, nanos] = [
                &self.trace_id_high,
                &self.trace_id_low,
                &self.span_id,
                &self.value,
                &self.nanos,
            ]
            .map(|field| field.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            let is_whole = sequence.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == sequence;
            (is_whole && sequence > 0).then(|| Exemplar {
                trace_id: TraceId::from(u128::from(high) << 64 | u128::from(low)),
                span_id: SpanId::from(span_id),
                value: f64::from_bits(value),
                time: UNIX_EPOCH + Duration::from_nanos(nanos),
            })
        })
    }
}

/// Returns the duration in nanoseconds. `Duration::as_nanos` computes with 128 bits.
#[inline]
fn nanoseconds(duration: Duration) -> u64 {
    let seconds = duration.as_secs().wrapping_mul(1_000_000_000);
    seconds.wrapping_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use opentelemetry::trace::{TraceFlags, TraceState};

    use super::*;

    fn span(id: u64) -> SpanContext {
        let trace_id = u128::from(id) << 64 | u128::from(id);
        SpanContext::new(trace_id.into(), id.into(), TraceFlags::SAMPLED, false, TraceState::NONE)
    }

    #[test]
    fn a_reader_sees_the_fields_of_one_writer() {
        let bucket = Bucket::default();
        assert_eq!(bucket.load(), None);
        thread::scope(|scope| {
            for writer in 1..=2_u32 {
                let bucket = &bucket;
                scope.spawn(move || {
                    for round in 0..50_000 {
                        let id = round * 2 + writer;
                        bucket.store(&span(u64::from(id)), f64::from(id), u64::from(id));
                    }
                });
            }
            for _ in 0..50_000 {
                if let Some(exemplar) = bucket.load() {
                    let id = u64::from_be_bytes(exemplar.span_id.to_bytes());
                    assert_eq!(exemplar.trace_id, span(id).trace_id());
                    assert_eq!(exemplar.time, UNIX_EPOCH + Duration::from_nanos(id));
                    assert_eq!(
                        exemplar.value.to_bits(),
                        f64::from(u32::try_from(id).unwrap()).to_bits()
                    );
                }
            }
        });
    }
}
