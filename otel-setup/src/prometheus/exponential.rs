//! Exponential histograms as histograms with explicit boundaries.
//!
//! Text has no exponential histograms. By the clause "Differences between Prometheus formats", they
//! "MAY be converted to fixed-bucket histograms".

use opentelemetry_sdk::metrics::data::{ExponentialBucket, ExponentialHistogramDataPoint};

/// The finest scale in text: boundaries are the powers of √2.
///
/// The SDK starts with a scale of 20 and lowers it as the range of the values grows, while the
/// boundaries of a series in Prometheus should stay. A coarser scale has boundaries that are also
/// those of a finer one.
const MAX_SCALE: i8 = 1;

/// Returns the boundaries, and the number of values in each bucket. The last bucket has no
/// boundary.
pub(crate) fn explicit<T>(point: &ExponentialHistogramDataPoint<T>) -> (Vec<f64>, Vec<u64>) {
    let scale = point.scale().min(MAX_SCALE);
    let shift = u32::from((point.scale() - scale).unsigned_abs());
    let (mut bounds, mut counts) = (Vec::new(), Vec::new());
    // Bucket `index` holds values above base^index, up to base^(index + 1).
    for (index, count) in merged(point.negative_bucket(), shift).into_iter().rev() {
        bounds.push(-power(scale, index));
        counts.push(count);
    }
    if point.zero_count() > 0 || !bounds.is_empty() {
        bounds.push(point.zero_threshold());
        counts.push(point.zero_count());
    }
    for (index, count) in merged(point.positive_bucket(), shift) {
        bounds.push(power(scale, index + 1));
        counts.push(count);
    }
    while bounds.last().is_some_and(|bound| bound.is_infinite()) {
        bounds.pop();
    }
    counts.resize(bounds.len(), 0);
    let within: u64 = counts.iter().sum();
    counts.push((point.count() as u64).saturating_sub(within));
    (bounds, counts)
}

/// Merges buckets to a scale lower by `shift`, without gaps.
fn merged(buckets: &ExponentialBucket, shift: u32) -> Vec<(i32, u64)> {
    let mut merged: Vec<(i32, u64)> = Vec::new();
    for (index, count) in (buckets.offset()..).zip(buckets.counts()) {
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
