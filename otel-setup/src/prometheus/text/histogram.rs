//! Histograms in text.

use std::time::SystemTime;

use crate::prometheus::buckets::Buckets;
use crate::prometheus::exemplars::last_between;
use crate::prometheus::families::Family;
use crate::prometheus::numbers::{Number, push_boundary, push_float};
use crate::prometheus::text::Text;

impl Text<'_, '_> {
    /// Writes a histogram.
    ///
    /// Clause "Histograms as Prometheus Histograms": "For each bucket the explicit bound is
    /// converted to the upper bound and the sum of all bucket counts up to and including the
    /// current bucket is converted to the cumulative count." The bucket `+Inf` is implicit in
    /// OpenTelemetry.
    pub(super) fn histogram(&mut self, family: &Family<'_>, buckets: &Buckets, start: SystemTime) {
        let (name, is_open_metrics) = (&family.name, self.format.is_open_metrics);
        self.set_boundaries(&buckets.bounds);
        let (bounds, texts) = std::mem::take(&mut self.boundaries);
        let (mut cumulative, mut lower) = (0, f64::NEG_INFINITY);
        let ends = bounds.iter().copied().zip(texts.iter().map(String::as_str));
        // Without boundaries, the SDK counts no buckets.
        let counts = buckets.counts.iter().copied().chain(std::iter::repeat(0));
        for ((upper, le), count) in ends.chain([(f64::INFINITY, "+Inf")]).zip(counts) {
            cumulative = if upper.is_infinite() {
                buckets.count
            } else {
                cumulative + count
            };
            self.sample(name, "_bucket", Some(le));
            cumulative.push(&mut self.out);
            if let Some(exemplar) = last_between(&buckets.exemplars, lower, upper) {
                exemplar.push(&mut self.out);
            }
            self.out.push('\n');
            lower = upper;
        }
        // In OpenMetrics, a sum is a counter: without negative values.
        let has_sum = buckets.sum >= 0.0 && bounds.first().is_none_or(|bound| *bound >= 0.0);
        self.boundaries = (bounds, texts);
        if has_sum || !is_open_metrics {
            self.sample(name, "_sum", None);
            push_float(&mut self.out, buckets.sum);
            self.out.push('\n');
        }
        self.sample(name, "_count", None);
        buckets.count.push(&mut self.out);
        self.out.push('\n');
        if is_open_metrics && family.is_complete {
            self.created(name, start);
        }
    }

    /// Writes the text of the boundaries, unless they are those of the last histogram.
    fn set_boundaries(&mut self, bounds: &[f64]) {
        let (last, texts) = &mut self.boundaries;
        if last != bounds {
            last.clear();
            last.extend_from_slice(bounds);
            texts.clear();
            for bound in bounds {
                let mut text = String::new();
                push_boundary(&mut text, *bound, self.format.is_open_metrics);
                texts.push(text);
            }
        }
    }
}
