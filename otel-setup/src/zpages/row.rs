//! The spans of one name: how many run, how they ended, and samples of them.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SpanData;

use crate::zpages::budget::Pool;
use crate::zpages::outcome::{BUCKETS, Outcome};
use crate::zpages::sample::Sample;
use crate::zpages::size::cut;

/// The number of samples that a bucket or a code keeps.
const MAX_SAMPLES: usize = 5;
/// The number of codes of a row. More are counted as [`OTHER_CODES`].
const MAX_CODES: usize = 24;
const OTHER_CODES: &str = "_OTHER";
/// The time between two samples of a bucket that is full, in microseconds.
const INTERVAL: u64 = 1_000_000;
/// The bytes of a code beside its text.
const CODE_BYTES: usize = size_of::<(Box<str>, Count)>() + 16;
/// The bytes of a row beside its name: itself, its entries in two tables, and [`OTHER_CODES`].
pub(super) const ROW_BYTES: usize = size_of::<Row>() + 48 + CODE_BYTES + OTHER_CODES.len();

#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: Box<str>,
    pub(super) kind: SpanKind,
    pub(super) is_rpc: bool,
    /// The spans that run now.
    running: AtomicI64,
    latencies: [Count; BUCKETS.len()],
    kept: Mutex<Kept>,
    /// The size of the samples.
    bytes: AtomicUsize,
}

/// The spans of a bucket or a code.
#[derive(Debug, Default)]
struct Count {
    count: AtomicU64,
    /// The time of the next sample, in microseconds since 1970.
    next_sample: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    failures: Vec<(Box<str>, Count)>,
    samples: VecDeque<(Bucket, Arc<Sample>)>,
}

/// Spans that ended alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bucket {
    Latency(usize),
    /// The index of the code.
    Failure(usize),
}

/// The counts of a row at one moment.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) running: u64,
    pub(super) latencies: [u64; BUCKETS.len()],
    pub(super) failures: Vec<(Box<str>, u64)>,
}

impl Counts {
    pub(super) fn is_empty(&self) -> bool {
        self.running == 0 && self.failures.is_empty() && self.latencies.iter().all(|count| *count == 0)
    }
}

impl Count {
    /// Counts a span that ended at `time`, and returns whether a sample is due.
    #[inline]
    fn add(&self, time: u64) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        let next = self.next_sample.load(Ordering::Relaxed);
        // If the clock was set back, the next sample may seem far away.
        time >= next || next - time > INTERVAL
    }
}

impl Row {
    pub(super) fn new(name: &str, kind: SpanKind, is_rpc: bool) -> Self {
        Row {
            name: cut(name).into(),
            kind,
            is_rpc,
            running: AtomicI64::new(0),
            latencies: Default::default(),
            kept: Mutex::default(),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Returns whether a span belongs to this row, as far as its name says.
    #[inline]
    pub(super) fn is_of(&self, span: &SpanData) -> bool {
        self.is(&span.name, &span.span_kind)
    }

    #[inline]
    pub(super) fn is(&self, name: &str, kind: &SpanKind) -> bool {
        *self.name == *name && self.kind == *kind
    }

    #[inline]
    pub(super) fn start(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a span that ended. Returns the bucket for a sample, if one is due.
    #[inline]
    pub(super) fn count(&self, span: &SpanData, pool: &Pool) -> Option<Bucket> {
        let time = microseconds(span.end_time);
        match Outcome::of(span) {
            Outcome::Success(bucket) => self.latencies[bucket].add(time).then_some(Bucket::Latency(bucket)),
            Outcome::Failure(code) => self.count_failure(&code, time, pool),
        }
    }

    fn count_failure(&self, code: &str, time: u64, pool: &Pool) -> Option<Bucket> {
        let mut kept = self.kept();
        let code = cut(code);
        let find = |kept: &Kept, code: &str| kept.failures.iter().position(|(known, _)| **known == *code);
        let index = find(&kept, code).unwrap_or_else(|| {
            let fits = kept.failures.len() < MAX_CODES && pool.reserve(CODE_BYTES + code.len());
            let code = if fits { code } else { OTHER_CODES };
            find(&kept, code).unwrap_or_else(|| {
                kept.failures.push((code.into(), Count::default()));
                kept.failures.len() - 1
            })
        });
        kept.failures[index].1.add(time).then_some(Bucket::Failure(index))
    }

    /// Adds a sample, whose bytes are reserved, in place of the oldest if the bucket is full.
    pub(super) fn keep(&self, bucket: Bucket, sample: Arc<Sample>, pool: &Pool) {
        let next = microseconds(sample.end_time()).saturating_add(INTERVAL);
        let mut kept = self.kept();
        let count = kept.samples.iter().filter(|(of, _)| *of == bucket).count();
        if count >= MAX_SAMPLES {
            self.remove_oldest(&mut kept, bucket, pool);
        }
        self.bytes.fetch_add(sample.bytes, Ordering::Relaxed);
        kept.samples.push_back((bucket, sample));
        if count + 1 >= MAX_SAMPLES {
            let counted = match bucket {
                Bucket::Latency(index) => &self.latencies[index],
                Bucket::Failure(index) => &kept.failures[index].1,
            };
            counted.next_sample.store(next, Ordering::Relaxed);
        }
    }

    /// Removes the oldest sample of the bucket that has most, and returns whether there was one.
    pub(super) fn evict(&self, pool: &Pool) -> bool {
        let mut kept = self.kept();
        let count = |bucket| kept.samples.iter().filter(|(of, _)| *of == bucket).count();
        let most = kept
            .samples
            .iter()
            .map(|(bucket, _)| *bucket)
            .max_by_key(|bucket| count(*bucket));
        most.is_some_and(|bucket| self.remove_oldest(&mut kept, bucket, pool))
    }

    fn remove_oldest(&self, kept: &mut Kept, bucket: Bucket, pool: &Pool) -> bool {
        let oldest = kept.samples.iter().position(|(of, _)| *of == bucket);
        let Some((_, removed)) = oldest.and_then(|index| kept.samples.remove(index)) else {
            return false;
        };
        self.bytes.fetch_sub(removed.bytes, Ordering::Relaxed);
        pool.release(removed.bytes);
        true
    }

    /// Returns the size of the samples.
    pub(super) fn sample_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> Counts {
        let kept = self.kept();
        let failures = kept.failures.iter();
        let failures = failures.map(|(code, count)| (code.clone(), count.count.load(Ordering::Relaxed)));
        Counts {
            // A span may end between two reads.
            running: u64::try_from(self.running.load(Ordering::Relaxed)).unwrap_or_default(),
            latencies: std::array::from_fn(|index| self.latencies[index].count.load(Ordering::Relaxed)),
            failures: failures.collect(),
        }
    }

    /// Returns the samples of a bucket, the last one first.
    pub(super) fn samples(&self, bucket: Bucket) -> Vec<Arc<Sample>> {
        let kept = self.kept();
        let samples = kept.samples.iter().rev().filter(|(of, _)| *of == bucket);
        samples.map(|(_, sample)| Arc::clone(sample)).collect()
    }

    /// Returns all samples.
    pub(super) fn all_samples(&self) -> Vec<Arc<Sample>> {
        let kept = self.kept();
        kept.samples.iter().map(|(_, sample)| Arc::clone(sample)).collect()
    }

    /// Locks the samples. Everyone holds the lock for a moment only.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[inline]
fn microseconds(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.as_secs() * 1_000_000 + u64::from(since_1970.subsec_micros())
}
