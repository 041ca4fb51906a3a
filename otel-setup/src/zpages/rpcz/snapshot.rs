//! Reads the durations of RPCs from collected metrics.

use std::collections::BTreeMap;
use std::mem::size_of;
use std::sync::Arc;

use opentelemetry::Value;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, ExponentialHistogramDataPoint, HistogramDataPoint, MetricData, ResourceMetrics, ScopeMetrics,
};

/// A method on one side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::zpages) struct Method {
    pub(in crate::zpages) is_client: bool,
    pub(in crate::zpages) name: Box<str>,
}

/// The durations of a method since the start of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::zpages) struct Totals {
    pub(super) count: u64,
    /// The RPCs with another code than `OK`.
    pub(super) failures: u64,
    /// In seconds.
    pub(super) sum: f64,
    /// The upper bounds of the buckets but the last, in seconds.
    pub(super) bounds: Arc<[f64]>,
    pub(super) buckets: Box<[u64]>,
}

impl Totals {
    /// Returns the bytes that it takes, beside the shared bounds.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.buckets) + 32
    }

    /// Adds the totals of another code, or of another instrument with the name.
    fn add(&mut self, mut other: Totals) {
        if self.count == 0 {
            *self = other;
            return;
        }
        self.keep_bounds_of(&other);
        other.keep_bounds_of(self);
        for (bucket, added) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += added;
        }
        self.count += other.count;
        self.failures += other.failures;
        self.sum += other.sum;
    }

    /// Merges buckets, until only those bounds are left that the other totals have as well. Without
    /// any, there are no buckets.
    fn keep_bounds_of(&mut self, other: &Totals) {
        if self.bounds == other.bounds {
            return;
        }
        let (mut bounds, mut buckets, mut within) = (Vec::new(), Vec::new(), 0);
        for (index, count) in self.buckets.iter().enumerate() {
            within += count;
            if let Some(bound) = self.bounds.get(index).filter(|bound| other.bounds.contains(bound)) {
                bounds.push(*bound);
                buckets.push(std::mem::take(&mut within));
            }
        }
        if !bounds.is_empty() {
            buckets.push(within);
        }
        self.bounds = bounds.into();
        self.buckets = buckets.into();
    }

    /// Returns what was added since `earlier`.
    pub(super) fn since(&self, earlier: &Totals) -> Totals {
        let (mut now, mut earlier) = (self.clone(), earlier.clone());
        if earlier.count > 0 {
            now.keep_bounds_of(&earlier);
            earlier.keep_bounds_of(&now);
        }
        for (bucket, before) in now.buckets.iter_mut().zip(&earlier.buckets) {
            *bucket = bucket.saturating_sub(*before);
        }
        now.count = now.count.saturating_sub(earlier.count);
        now.failures = now.failures.saturating_sub(earlier.failures);
        now.sum = (now.sum - earlier.sum).max(0.0);
        now
    }

    /// Estimates a quantile, as Prometheus does: durations are evenly distributed in their bucket.
    /// A duration above the last bound counts as that bound.
    pub(super) fn quantile(&self, quantile: f64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let float = |count: u64| count as f64;
        let counted: u64 = self.buckets.iter().sum();
        let rank = quantile * float(counted);
        let mut below = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            if *count > 0 && float(below + count) >= rank {
                let from = index.checked_sub(1).map_or(0.0, |index| self.bounds[index]);
                let Some(to) = self.bounds.get(index) else {
                    return Some(from);
                };
                return Some(from + (to - from) * ((rank - float(below)) / float(*count)).clamp(0.0, 1.0));
            }
            below += count;
        }
        None
    }
}

/// Returns the totals of all methods.
pub(super) fn read(metrics: &ResourceMetrics) -> BTreeMap<Method, Totals> {
    let mut all: BTreeMap<Method, Totals> = BTreeMap::new();
    let metrics = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
    for metric in metrics {
        let is_client = match metric.name() {
            "rpc.server.call.duration" => false,
            "rpc.client.call.duration" => true,
            _ => continue,
        };
        let AggregatedMetrics::F64(data) = metric.data() else {
            continue;
        };
        let points: Vec<(Labels, Totals)> = match data {
            MetricData::Histogram(histogram) => histogram.data_points().map(explicit).collect(),
            MetricData::ExponentialHistogram(histogram) => histogram.data_points().map(exponential).collect(),
            _ => continue,
        };
        for (labels, mut totals) in points {
            if labels.code.is_some_and(|code| code != "OK") {
                totals.failures = totals.count;
            }
            let method = Method {
                is_client,
                name: labels.method.unwrap_or_else(|| "(all others)".into()),
            };
            all.entry(method).or_default().add(totals);
        }
    }
    all
}

#[derive(Default)]
struct Labels {
    method: Option<Box<str>>,
    code: Option<String>,
}

impl<'a> FromIterator<&'a opentelemetry::KeyValue> for Labels {
    fn from_iter<I: IntoIterator<Item = &'a opentelemetry::KeyValue>>(attributes: I) -> Self {
        let mut labels = Labels::default();
        for attribute in attributes {
            let text = |value: &Value| value.as_str().into_owned();
            match attribute.key.as_str() {
                "rpc.method" => labels.method = Some(text(&attribute.value).into()),
                "rpc.status_code" => labels.code = Some(text(&attribute.value)),
                _ => {}
            }
        }
        labels
    }
}

fn explicit(point: &HistogramDataPoint<f64>) -> (Labels, Totals) {
    let totals = Totals {
        count: point.count(),
        failures: 0,
        sum: point.sum(),
        bounds: point.bounds().collect(),
        buckets: point.bucket_counts().collect(),
    };
    (point.attributes().collect(), totals)
}

/// Returns the totals without buckets: the scale of an exponential histogram changes.
fn exponential(point: &ExponentialHistogramDataPoint<f64>) -> (Labels, Totals) {
    let totals = Totals {
        count: point.count() as u64,
        sum: point.sum(),
        ..Totals::default()
    };
    (point.attributes().collect(), totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_with_other_bounds_keep_those_of_both() {
        let totals = |bounds: &[f64], buckets: &[u64], count| Totals {
            count,
            bounds: bounds.into(),
            buckets: buckets.into(),
            ..Totals::default()
        };
        let first = totals(&[0.1, 0.2, 0.4], &[1, 2, 3, 4], 10);
        for (other, bounds, buckets) in [
            (
                totals(&[0.1, 0.2, 0.4], &[1, 1, 1, 1], 4),
                &[0.1, 0.2, 0.4][..],
                &[2, 3, 4, 5][..],
            ),
            (totals(&[0.2, 0.3], &[1, 1, 1], 3), &[0.2], &[4, 9]),
            (totals(&[0.3], &[1, 1], 2), &[], &[]),
            // An exponential histogram has no bounds here.
            (totals(&[], &[], 5), &[], &[]),
            (Totals::default(), &[0.1, 0.2, 0.4], &[1, 2, 3, 4]),
        ] {
            let mut sum = Totals::default();
            sum.add(first.clone());
            if other.count > 0 {
                sum.add(other.clone());
            }
            assert_eq!(sum, totals(bounds, buckets, first.count + other.count));
            let mut since = first.clone();
            since.keep_bounds_of(&sum);
            assert_eq!(
                sum.since(&other),
                totals(bounds, &since.buckets, first.count),
                "{other:?}"
            );
        }
    }

    #[test]
    fn quantiles_are_interpolated() {
        let totals = Totals {
            bounds: [0.1, 0.2, 0.4].into(),
            buckets: [10, 0, 10, 5].into(),
            ..Totals::default()
        };
        for (quantile, expected) in [(0.0, 0.0), (0.2, 0.05), (0.4, 0.1), (0.6, 0.3), (0.8, 0.4), (0.99, 0.4)] {
            let estimate = totals.quantile(quantile).unwrap();
            assert!((estimate - expected).abs() < 1e-9, "{quantile}: {estimate}");
        }
        assert_eq!(Totals::default().quantile(0.5), None);
    }
}
