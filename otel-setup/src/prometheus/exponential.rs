//! Exponential histograms as histograms with explicit boundaries.
//!
//! Text has no exponential histograms. By the clause "Differences between Prometheus formats", they
//! "MAY be converted to fixed-bucket histograms".

use opentelemetry_sdk::metrics::data::{ExponentialBucket, ExponentialHistogramDataPoint};

use crate::prometheus::numbers::Number;

/// The finest scale in text: boundaries are the powers of √2.
///
/// The SDK starts with a scale of 20 and lowers it as the range of the values grows, while the
/// boundaries of a series in Prometheus should stay. A coarser scale has boundaries that are also
/// those of a finer one.
const MAX_SCALE: i8 = 1;

/// The most buckets on each side of zero, as many as the SDK has by default.
const MAX_BUCKETS: usize = 160;

/// An exponential histogram at a scale of text. Bucket `index` holds values above base^index, up to
/// base^(index + 1).
pub(crate) struct Exponential {
    scale: i8,
    negative: Vec<(i32, u64)>,
    positive: Vec<(i32, u64)>,
    zero_count: u64,
    zero_threshold: f64,
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

impl Exponential {
    pub(crate) fn new<T: Number>(point: &ExponentialHistogramDataPoint<T>) -> Self {
        let scale = point.scale().min(MAX_SCALE);
        let shift = u32::from((point.scale() - scale).unsigned_abs());
        let buckets = |buckets: &ExponentialBucket| merged((buckets.offset()..).zip(buckets.counts()), shift);
        Exponential {
            scale,
            negative: buckets(point.negative_bucket()),
            positive: buckets(point.positive_bucket()),
            zero_count: point.zero_count(),
            zero_threshold: point.zero_threshold(),
            count: point.count() as u64,
            sum: point.sum().as_f64(),
        }
    }

    /// Adds another histogram, at the coarser of both scales, or at one coarse enough for the range
    /// of both.
    pub(crate) fn add(&mut self, other: &Self) {
        let mut scale = self.scale.min(other.scale);
        loop {
            let shift = |from: i8| u32::from(from.abs_diff(scale));
            let (ours, theirs) = (shift(self.scale), shift(other.scale));
            let negative = total((&self.negative[..], ours), (&other.negative[..], theirs));
            let positive = total((&self.positive[..], ours), (&other.positive[..], theirs));
            if negative.len().max(positive.len()) <= MAX_BUCKETS {
                (self.negative, self.positive) = (negative, positive);
                break;
            }
            scale -= 1;
        }
        self.scale = scale;
        self.zero_count += other.zero_count;
        self.zero_threshold = self.zero_threshold.max(other.zero_threshold);
        self.count += other.count;
        self.sum += other.sum;
    }

    /// Returns the boundaries, and the number of values in each bucket. The last bucket has no
    /// boundary.
    pub(crate) fn explicit(&self) -> (Vec<f64>, Vec<u64>) {
        let (mut bounds, mut counts) = (Vec::new(), Vec::new());
        for (index, count) in self.negative.iter().rev() {
            bounds.push(-power(self.scale, *index));
            counts.push(*count);
        }
        if self.zero_count > 0 || !bounds.is_empty() {
            bounds.push(self.zero_threshold);
            counts.push(self.zero_count);
        }
        for (index, count) in &self.positive {
            bounds.push(power(self.scale, index + 1));
            counts.push(*count);
        }
        while bounds.last().is_some_and(|bound| bound.is_infinite()) {
            bounds.pop();
        }
        counts.resize(bounds.len(), 0);
        let within: u64 = counts.iter().sum();
        counts.push(self.count.saturating_sub(within));
        (bounds, counts)
    }
}

/// Merges buckets to a scale lower by `shift`, without gaps.
fn merged(buckets: impl Iterator<Item = (i32, u64)>, shift: u32) -> Vec<(i32, u64)> {
    let mut merged: Vec<(i32, u64)> = Vec::new();
    for (index, count) in buckets {
        let index = index >> shift.min(31);
        match merged.last_mut() {
            Some((last, sum)) if *last == index => *sum += count,
            _ => merged.push((index, count)),
        }
    }
    let is_empty = |bucket: &(i32, u64)| bucket.1 == 0;
    let first = merged.iter().position(|bucket| !is_empty(bucket));
    merged.drain(..first.unwrap_or(merged.len()));
    while merged.last().is_some_and(is_empty) {
        merged.pop();
    }
    merged
}

/// Returns the sum of buckets, each without gaps and shifted to the same scale.
fn total(a: (&[(i32, u64)], u32), b: (&[(i32, u64)], u32)) -> Vec<(i32, u64)> {
    let shifted = |(buckets, shift): (&[(i32, u64)], u32)| merged(buckets.iter().copied(), shift);
    let (a, b) = (shifted(a), shifted(b));
    let (Some((first, _)), Some((last, _))) = (a.iter().chain(&b).min(), a.iter().chain(&b).max()) else {
        return Vec::new();
    };
    let count = |buckets: &[(i32, u64)], index: i32| {
        let found = buckets.binary_search_by_key(&index, |bucket| bucket.0);
        found.map_or(0, |place| buckets[place].1)
    };
    (*first..=*last)
        .map(|index| (index, count(&a, index) + count(&b, index)))
        .collect()
}

/// Returns base^exponent, where the base is 2^(2^-scale).
fn power(scale: i8, exponent: i32) -> f64 {
    (f64::from(exponent) * (-f64::from(scale)).exp2()).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_of_a_coarser_scale_are_those_of_a_finer_one() {
        for exponent in -40..40 {
            assert_eq!(power(1, 2 * exponent).to_bits(), power(0, exponent).to_bits());
            assert_eq!(power(0, 4 * exponent).to_bits(), power(-2, exponent).to_bits());
        }
        assert_eq!(power(0, 10).to_bits(), 1024_f64.to_bits());
        assert_eq!(power(1, 1).to_bits(), std::f64::consts::SQRT_2.to_bits());
    }
}
