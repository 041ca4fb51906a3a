//! The buckets of a histogram.

use opentelemetry_sdk::metrics::data::HistogramDataPoint;

use crate::prometheus::exemplars::{Exemplar, last_between};
use crate::prometheus::exponential::Exponential;
use crate::prometheus::numbers::Number;

/// A data point of a histogram.
pub(crate) struct Buckets {
    pub(crate) bounds: Vec<f64>,
    /// The number of values in each bucket. The last one has no boundary.
    pub(crate) counts: Vec<u64>,
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) exemplars: Vec<Exemplar>,
}

impl Buckets {
    pub(crate) fn new<T: Number>(point: &HistogramDataPoint<T>, exemplars: Vec<Exemplar>) -> Self {
        Buckets {
            bounds: point.bounds().collect(),
            counts: point.bucket_counts().collect(),
            count: point.count(),
            sum: point.sum().as_f64(),
            exemplars,
        }
    }

    /// Adds another histogram. Returns whether both had the same boundaries.
    ///
    /// If they differ, those remain that both have: the counts of values up to them are known.
    pub(crate) fn add(&mut self, mut other: Buckets) -> bool {
        let are_same = self.bounds == other.bounds;
        if !are_same {
            let common: Vec<f64> = (self.bounds.iter().copied())
                .filter(|bound| other.bounds.contains(bound))
                .collect();
            self.coarsen(&common);
            other.coarsen(&common);
        }
        if self.counts.len() < other.counts.len() {
            std::mem::swap(&mut self.counts, &mut other.counts);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.exemplars.append(&mut other.exemplars);
        self.keep_last_exemplars();
        are_same
    }

    /// Merges buckets, until these boundaries are left.
    fn coarsen(&mut self, bounds: &[f64]) {
        let (mut counts, mut within) = (Vec::with_capacity(bounds.len() + 1), 0);
        // Without boundaries, the SDK counts no buckets.
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            within += count;
            if bounds.contains(bound) {
                counts.push(std::mem::take(&mut within));
            }
        }
        counts.push(within + self.counts.get(self.bounds.len()).copied().unwrap_or_default());
        self.bounds = bounds.to_vec();
        self.counts = counts;
    }

    /// Keeps the last exemplar of each bucket: a bucket shows one.
    fn keep_last_exemplars(&mut self) {
        let mut lower = f64::NEG_INFINITY;
        let mut last = Vec::new();
        for upper in self.bounds.iter().copied().chain([f64::INFINITY]) {
            last.extend(last_between(&self.exemplars, lower, upper).copied());
            lower = upper;
        }
        self.exemplars = last;
    }
}

impl From<Exponential> for Buckets {
    /// An exponential histogram has no exemplars.
    fn from(histogram: Exponential) -> Self {
        let (bounds, counts) = histogram.explicit();
        Buckets {
            bounds,
            counts,
            count: histogram.count,
            sum: histogram.sum,
            exemplars: Vec::new(),
        }
    }
}

/// A histogram of either kind.
pub(crate) enum Histogram {
    Explicit(Buckets),
    Exponential(Exponential),
}

impl Histogram {
    /// Returns the sum of both, and whether no boundary was lost.
    pub(crate) fn plus(self, other: Self) -> (Self, bool) {
        match (self, other) {
            (Histogram::Exponential(mut sum), Histogram::Exponential(other)) => {
                sum.add(&other);
                (Histogram::Exponential(sum), true)
            }
            (sum, other) => {
                let mut sum = Buckets::from(sum);
                let has_all = sum.add(other.into());
                (Histogram::Explicit(sum), has_all)
            }
        }
    }
}

impl From<Histogram> for Buckets {
    fn from(histogram: Histogram) -> Self {
        match histogram {
            Histogram::Explicit(buckets) => buckets,
            Histogram::Exponential(histogram) => histogram.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(bounds: &[f64], counts: &[u64]) -> Buckets {
        Buckets {
            bounds: bounds.to_vec(),
            counts: counts.to_vec(),
            count: counts.iter().sum(),
            sum: 1.5,
            exemplars: Vec::new(),
        }
    }

    #[test]
    fn a_sum_has_the_last_exemplar_of_each_bucket() {
        let with = |exemplars: &[(f64, u64)]| Buckets {
            exemplars: exemplars
                .iter()
                .map(|(value, seconds)| Exemplar::at(*value, *seconds))
                .collect(),
            ..buckets(&[1.0], &[1, 2])
        };
        let mut sum = with(&[(0.5, 10), (2.0, 11)]);
        sum.add(with(&[(0.25, 12), (3.0, 9)]));
        let values: Vec<f64> = sum.exemplars.iter().map(Exemplar::value).collect();
        assert_eq!(values, [0.25, 2.0]);
    }

    #[test]
    fn a_sum_has_the_boundaries_of_both() {
        type Row = (&'static [f64], &'static [u64]);
        let rows: [[Row; 3]; 5] = [
            [
                (&[1.0, 2.0], &[1, 2, 3]),
                (&[1.0, 2.0], &[4, 5, 6]),
                (&[1.0, 2.0], &[5, 7, 9]),
            ],
            [
                (&[1.0, 2.0, 4.0], &[1, 2, 3, 4]),
                (&[2.0, 3.0], &[5, 6, 7]),
                (&[2.0], &[8, 20]),
            ],
            [(&[1.0], &[1, 2]), (&[2.0], &[3, 4]), (&[], &[10])],
            [(&[], &[]), (&[2.0], &[3, 4]), (&[], &[7])],
            [(&[], &[]), (&[], &[]), (&[], &[])],
        ];
        for [a, b, (bounds, counts)] in rows {
            for (ours, theirs) in [(a, b), (b, a)] {
                let mut sum = buckets(ours.0, ours.1);
                assert_eq!(sum.add(buckets(theirs.0, theirs.1)), a.0 == b.0);
                assert_eq!((&sum.bounds[..], &sum.counts[..]), (bounds, counts));
                assert_eq!(sum.count, counts.iter().sum::<u64>());
                assert_eq!(sum.sum.to_bits(), 3.0_f64.to_bits());
            }
        }
    }
}
