//! The rows of all names.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SpanData;

use crate::zpages::budget::Pool;
use crate::zpages::row::{Bucket, ROW_BYTES, Row};
use crate::zpages::sample::Sample;
use crate::zpages::size::cut;

/// The number of tables, so that threads rarely look into the same one.
const SHARDS: usize = 16;
/// The name of the row for spans whose own row would exceed the memory.
pub(super) const OTHER_NAMES: &str = "(all other names)";

/// The origin of a name, which tells how many rows there may be of such names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// A method that exists.
    Method,
    /// The path of a request whose method is not known. Anyone invents such names.
    Path,
    /// A span that is no RPC. Programs may put ids into such names.
    Span,
}

impl Origin {
    /// Returns the quarters of the memory for rows that such names may take.
    fn quarters(self) -> usize {
        match self {
            Origin::Method => 4,
            Origin::Span => 3,
            Origin::Path => 2,
        }
    }
}

/// The rows, found by name and kind, and in the order in which they came.
#[derive(Debug)]
pub(super) struct Rows {
    hasher: RandomState,
    shards: [RwLock<HashMap<u64, &'static Row>>; SHARDS],
    /// The index of a row is its id on the pages. The first is [`OTHER_NAMES`].
    all: RwLock<Vec<&'static Row>>,
    other: &'static Row,
}

impl Rows {
    pub(super) fn new() -> Self {
        let other: &Row = Box::leak(Box::new(Row::new(OTHER_NAMES.into(), SpanKind::Internal, false)));
        Rows {
            hasher: RandomState::new(),
            shards: Default::default(),
            all: RwLock::new(vec![other]),
            other,
        }
    }

    /// Returns the row of a span.
    #[inline]
    pub(super) fn for_span(&self, span: &SpanData, pool: &Pool) -> &'static Row {
        let hash = self.hash(&span.name, &span.span_kind);
        self.get_hashed(hash, &span.name, &span.span_kind).unwrap_or_else(|| {
            let mut attributes = span.attributes.iter();
            let is_rpc = attributes.any(|attribute| attribute.key.as_str() == "rpc.system.name");
            let origin = if is_rpc { Origin::Method } else { Origin::Span };
            self.add(hash, &span.name, &span.span_kind, origin, pool)
        })
    }

    /// Returns the row of a name and a kind.
    #[expect(clippy::ptr_arg, reason = "a borrowed name lives as long as a row")]
    pub(super) fn for_name(
        &self,
        name: &Cow<'static, str>,
        kind: &SpanKind,
        origin: Origin,
        pool: &Pool,
    ) -> &'static Row {
        let hash = self.hash(name, kind);
        let found = self.get_hashed(hash, name, kind);
        found.unwrap_or_else(|| self.add(hash, name, kind, origin, pool))
    }

    #[inline]
    fn get_hashed(&self, hash: u64, name: &str, kind: &SpanKind) -> Option<&'static Row> {
        let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
        let row = *shard.get(&hash)?;
        // Two names may have one hash.
        Some(if row.matches(name, kind) { row } else { self.other })
    }

    fn hash(&self, name: &str, kind: &SpanKind) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        // A row keeps no longer name.
        cut(name).hash(&mut hasher);
        hasher.write_u8(match kind {
            SpanKind::Client => 0,
            SpanKind::Server => 1,
            SpanKind::Producer => 2,
            SpanKind::Consumer => 3,
            SpanKind::Internal => 4,
        });
        hasher.finish()
    }

    #[expect(clippy::cast_possible_truncation, reason = "below the number of shards")]
    fn shard(&self, hash: u64) -> &RwLock<HashMap<u64, &'static Row>> {
        &self.shards[hash as usize % SHARDS]
    }

    #[cold]
    #[expect(clippy::ptr_arg, reason = "a borrowed name lives as long as a row")]
    fn add(&self, hash: u64, name: &Cow<'static, str>, kind: &SpanKind, origin: Origin, pool: &Pool) -> &'static Row {
        let mut shard = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        match shard.entry(hash) {
            Entry::Occupied(entry) => entry.get(),
            Entry::Vacant(entry) => {
                // Counted as if it were on the heap, whether it is or not.
                if !pool.reserve_within(origin.quarters(), ROW_BYTES + cut(name).len()) {
                    return self.other;
                }
                let name = match name {
                    Cow::Borrowed(name) => cut(name).into(),
                    Cow::Owned(name) => cut(name).to_owned().into(),
                };
                let is_rpc = !matches!(origin, Origin::Span);
                let row: &Row = Box::leak(Box::new(Row::new(name, kind.clone(), is_rpc)));
                entry.insert(row);
                self.all.write().unwrap_or_else(PoisonError::into_inner).push(row);
                row
            }
        }
    }

    /// Returns the rows in the order of their ids.
    pub(super) fn all(&self) -> Vec<&'static Row> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn get(&self, id: usize) -> Option<&'static Row> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.get(id).copied()
    }

    /// Keeps a sample. If there is no room, the largest share of it loses a sample, and the bucket
    /// gets no other one in this second.
    ///
    /// Failures of RPCs, other RPCs, failures of other spans, and other spans have a quarter each,
    /// and more while the others need less.
    #[cold]
    pub(super) fn keep(&self, row: &'static Row, bucket: Bucket, sample: Sample, second: u64, pool: &Pool) {
        if sample.bytes > pool.limit() {
            // There is no room for it, even without all others.
            row.pause(bucket, second);
            return;
        }
        // Each round frees a sample. Other threads may be faster to take its room.
        for _ in 0..64 {
            if pool.reserve(sample.bytes) {
                row.keep(bucket, Arc::new(sample), second, pool);
                return;
            }
            row.pause(bucket, second);
            if !self.evict(row, bucket, sample.bytes, pool) {
                return;
            }
        }
    }

    /// Removes the oldest sample of the row that has most, in the quarter that has most, as if a
    /// new sample was kept. Returns whether there was one.
    fn evict(&self, row: &'static Row, bucket: Bucket, bytes: usize, pool: &Pool) -> bool {
        let all = self.all();
        let size = |other: &Row, is_failure| {
            let is_new = std::ptr::eq(other, row) && bucket.is_failure() == is_failure;
            other.sample_bytes(is_failure) + if is_new { bytes } else { 0 }
        };
        let quarters = [(true, true), (true, false), (false, true), (false, false)].map(|(is_rpc, is_failure)| {
            let rows = all.iter().filter(move |row| row.is_rpc == is_rpc);
            let sizes = rows.map(|row| (size(row, is_failure), *row));
            let whole: usize = sizes.clone().map(|(size, _)| size).sum();
            (whole, is_failure, sizes.max_by_key(|(size, _)| *size))
        });
        let largest = quarters.into_iter().max_by_key(|(whole, ..)| *whole);
        largest.is_some_and(|(_, is_failure, row)| row.is_some_and(|(_, row)| row.evict(is_failure, pool)))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;
    use crate::zpages::sample::Inside;

    #[test]
    fn without_room_a_bucket_takes_one_sample_in_a_second() {
        let rows = Rows::new();
        let (names, samples) = (Pool::new(100_000), Pool::new(3000));
        let tracer = SdkTracerProvider::builder().build().tracer("app");
        let spans: Vec<SpanData> = (0..20)
            .map(|name| tracer.start(format!("job {name}")).exported_data().unwrap())
            .collect();
        let kept = |second| {
            let mut kept = 0;
            for span in spans.iter().cycle().take(200) {
                let row = rows.for_span(span, &names);
                if let Some(bucket) = row.count(span, second, &names) {
                    kept += 1;
                    let sample = Sample::new(span, Vec::new(), Inside::default(), 1000);
                    rows.keep(row, bucket, sample, second, &samples);
                }
            }
            kept
        };
        // There is room for the first samples without taking it from others.
        assert!((20..=30).contains(&kept(0)));
        assert_eq!([kept(1), kept(1), kept(2)], [20, 0, 20]);
    }

    #[test]
    fn a_sample_above_the_limit_displaces_none() {
        let rows = Rows::new();
        let (names, samples) = (Pool::new(100_000), Pool::new(3000));
        let tracer = SdkTracerProvider::builder().build().tracer("app");
        let mut span = tracer.start("job").exported_data().unwrap();
        let row = rows.for_span(&span, &names);
        let mut end = |length| {
            span.attributes = vec![KeyValue::new("text", "a".repeat(length))];
            let bucket = row.count(&span, 0, &names)?;
            let sample = Sample::new(&span, Vec::new(), Inside::default(), 1000);
            rows.keep(row, bucket, sample, 0, &samples);
            Some(row.samples(bucket).len())
        };
        // In this second, the bucket gets no other one.
        assert_eq!([10, 10, 4000, 10].map(&mut end), [Some(1), Some(2), Some(2), None]);
    }
}
