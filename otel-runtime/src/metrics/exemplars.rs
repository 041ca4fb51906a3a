//! Exemplars: the last sampled call in each bucket of a call duration.
//!
//! The SDK for Rust has no exemplars, and its types cannot be created outside of it. So an exporter
//! enables these, and adds them to the data points. This module goes away once the SDK has its own.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

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
// Inlined, so that only a program that exports them compiles it.
#[inline]
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
    Box::new([const { OnceLock::new() }; Outcome::COUNT])
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
            bucket.store(span, start, elapsed);
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

/// The last call in a bucket. A writer never waits for the lock.
#[derive(Default)]
struct Bucket(Mutex<Option<Stored>>);

/// A call as it is at hand at its end. What an exemplar says is computed when it is collected.
struct Stored {
    trace_id: TraceId,
    span_id: SpanId,
    start: SystemTime,
    elapsed: Duration,
}

impl Bucket {
    /// Stores an exemplar, unless another thread is storing or reading one right now.
    #[inline]
    fn store(&self, span: &SpanContext, start: SystemTime, elapsed: Duration) {
        if let Ok(mut stored) = self.0.try_lock() {
            *stored = Some(Stored {
                trace_id: span.trace_id(),
                span_id: span.span_id(),
                start,
                elapsed,
            });
        }
    }

    fn load(&self) -> Option<Exemplar> {
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stored.as_ref().map(|stored| Exemplar {
            trace_id: stored.trace_id,
            span_id: stored.span_id,
            value: stored.elapsed.as_secs_f64(),
            time: stored.start + stored.elapsed,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use opentelemetry::trace::{TraceFlags, TraceState};

    use super::*;

    #[test]
    fn a_call_does_not_wait_for_a_reader() {
        let (trace_id, span_id) = (TraceId::from(1), SpanId::from(2));
        let span = SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE);
        let (start, elapsed) = (UNIX_EPOCH + Duration::from_secs(3), Duration::from_millis(500));
        let bucket = Bucket::default();
        let reading = bucket.0.lock().unwrap();
        bucket.store(&span, start, elapsed);
        drop(reading);
        assert_eq!(bucket.load(), None);
        bucket.store(&span, start, elapsed);
        let expected = Exemplar {
            trace_id,
            span_id,
            value: 0.5,
            time: start + elapsed,
        };
        assert_eq!(bucket.load(), Some(expected));
    }
}
