//! The spans of one name: how many run, how they ended, and samples of them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
/// The bytes of a code beside its text.
const CODE_BYTES: usize = size_of::<(Box<str>, Count)>() + 16;
/// The bytes of a row beside its name: itself, its entries in two tables, and [`OTHER_CODES`].
pub(super) const ROW_BYTES: usize = size_of::<Row>() + 48 + CODE_BYTES + OTHER_CODES.len();

#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) is_rpc: bool,
    /// The spans that run now.
    running: AtomicI64,
    latencies: [Count; BUCKETS.len()],
    kept: Mutex<Kept>,
    /// The size of the samples without a failure, and of those with one.
    bytes: [AtomicUsize; 2],
}

/// The spans of a bucket or a code.
#[derive(Debug, Default)]
struct Count {
    count: AtomicU64,
    /// The second of the next sample.
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

impl Bucket {
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Bucket::Failure(_))
    }
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
    /// Counts a span that ended in `second`, and returns whether a sample is due.
    #[inline]
    fn add(&self, second: u64) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        second >= self.next_sample.load(Ordering::Relaxed)
    }
}

impl Row {
    /// Creates the row of a name, which is not longer than [`cut`] leaves it.
    pub(super) fn new(name: Cow<'static, str>, kind: SpanKind, is_rpc: bool) -> Self {
        Row {
            name,
            kind,
            is_rpc,
            running: AtomicI64::new(0),
            latencies: Default::default(),
            kept: Mutex::default(),
            bytes: Default::default(),
        }
    }

    /// Returns whether a span belongs to this row, as far as its name says.
    #[inline]
    pub(super) fn matches_span(&self, span: &SpanData) -> bool {
        self.matches(&span.name, &span.span_kind)
    }

    #[inline]
    pub(super) fn matches(&self, name: &str, kind: &SpanKind) -> bool {
        // Most names of methods are in one place, which need not be read.
        (std::ptr::eq::<str>(self.name.as_ref(), name) || *self.name == *cut(name)) && self.kind == *kind
    }

    /// Returns the number of spans that run now.
    #[inline]
    pub(super) fn running(&self) -> i64 {
        self.running.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn start(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a span that ended in `second`. Returns the bucket for a sample, if one is due.
    #[inline]
    pub(super) fn count(&self, span: &SpanData, second: u64, pool: &Pool) -> Option<Bucket> {
        match Outcome::from_span(span) {
            Outcome::Success(bucket) => self.latencies[bucket].add(second).then_some(Bucket::Latency(bucket)),
            Outcome::Failure(code) => self.count_failure(&code, second, pool),
        }
    }

    fn count_failure(&self, code: &str, second: u64, pool: &Pool) -> Option<Bucket> {
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
        kept.failures[index].1.add(second).then_some(Bucket::Failure(index))
    }

    /// Adds a sample, whose bytes are reserved, in place of the oldest if the bucket is full.
    ///
    /// A full bucket gets no other one in this second.
    pub(super) fn keep(&self, bucket: Bucket, sample: Arc<Sample>, second: u64, pool: &Pool) {
        let mut kept = self.kept();
        let count = kept.samples.iter().filter(|(of, _)| *of == bucket).count();
        if count >= MAX_SAMPLES {
            self.remove_oldest(&mut kept, bucket, pool);
        }
        self.bytes[usize::from(bucket.is_failure())].fetch_add(sample.bytes, Ordering::Relaxed);
        kept.samples.push_back((bucket, sample));
        if count + 1 >= MAX_SAMPLES {
            self.pause_in(&kept, bucket, second);
        }
    }

    /// Lets a bucket get no other sample in this second.
    #[cold]
    pub(super) fn pause(&self, bucket: Bucket, second: u64) {
        self.pause_in(&self.kept(), bucket, second);
    }

    fn pause_in(&self, kept: &Kept, bucket: Bucket, second: u64) {
        let counted = match bucket {
            Bucket::Latency(index) => &self.latencies[index],
            Bucket::Failure(index) => &kept.failures[index].1,
        };
        counted.next_sample.store(second + 1, Ordering::Relaxed);
    }

    /// Removes the oldest sample of the bucket that has most, of those with a failure or of those
    /// without. Returns whether there was one.
    pub(super) fn evict(&self, is_failure: bool, pool: &Pool) -> bool {
        let mut kept = self.kept();
        let count = |bucket| kept.samples.iter().filter(|(of, _)| *of == bucket).count();
        let most = kept
            .samples
            .iter()
            .map(|(bucket, _)| *bucket)
            .filter(|bucket| bucket.is_failure() == is_failure)
            .max_by_key(|bucket| count(*bucket));
        most.is_some_and(|bucket| self.remove_oldest(&mut kept, bucket, pool))
    }

    fn remove_oldest(&self, kept: &mut Kept, bucket: Bucket, pool: &Pool) -> bool {
        let oldest = kept.samples.iter().position(|(of, _)| *of == bucket);
        let Some((_, removed)) = oldest.and_then(|index| kept.samples.remove(index)) else {
            return false;
        };
        self.bytes[usize::from(bucket.is_failure())].fetch_sub(removed.bytes, Ordering::Relaxed);
        pool.release(removed.bytes);
        true
    }

    /// Returns the size of the samples with a failure, or of those without.
    pub(super) fn sample_bytes(&self, is_failure: bool) -> usize {
        self.bytes[usize::from(is_failure)].load(Ordering::Relaxed)
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

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;
    use crate::zpages::sample::Inside;

    #[test]
    fn a_full_bucket_takes_one_sample_in_a_second() {
        let (row, pool) = (Row::new("job".into(), SpanKind::Internal, false), Pool::new(1_000_000));
        let tracer = SdkTracerProvider::builder().build().tracer("app");
        let span = tracer.start("job").exported_data().unwrap();
        let end = |second| {
            let bucket = row.count(&span, second, &pool);
            let sample = || Sample::new(&span, Vec::new(), Inside::default(), 1000);
            bucket.inspect(|bucket| row.keep(*bucket, Arc::new(sample()), second, &pool))
        };
        let is_kept = [0, 0, 0, 0, 0, 0, 0, 1, 1, 3, 3].map(|second| end(second).is_some());
        let expected = [true, true, true, true, true, false, false, true, false, true, false];
        assert_eq!(is_kept, expected);
        assert_eq!(row.samples(Bucket::Latency(0)).len(), MAX_SAMPLES);
        assert_eq!(row.counts().latencies[0], 11);
    }
}
