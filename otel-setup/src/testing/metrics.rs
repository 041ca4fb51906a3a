//! Metrics that have been collected, and assertions on them.

use std::collections::BTreeSet;
use std::sync::Arc;

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::metrics::data::{Metric, ResourceMetrics, ScopeMetrics};

use super::points::{self, RecordedPoint};
use super::report;
use super::sdk::Sdk;
use crate::text::counted;

/// The metrics that a [`TestTelemetry`](super::TestTelemetry) has recorded so far.
#[derive(Clone, Debug)]
pub struct RecordedMetrics {
    collections: Vec<Arc<ResourceMetrics>>,
    sdk: Arc<Sdk>,
}

impl RecordedMetrics {
    /// Collects the metrics.
    pub(super) fn collect(sdk: &Arc<Sdk>) -> Self {
        sdk.collect();
        RecordedMetrics::collected(sdk)
    }

    fn collected(sdk: &Arc<Sdk>) -> Self {
        RecordedMetrics {
            collections: sdk.collected(),
            sdk: Arc::clone(sdk),
        }
    }

    /// Returns the names of all metrics that have a value, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let names = self.all().map(Metric::name).collect::<BTreeSet<_>>();
        names.into_iter().collect()
    }

    /// Returns the data points of a metric. There are none if nothing has been recorded.
    #[must_use]
    pub fn metric(&self, name: &str) -> RecordedMetric {
        RecordedMetric {
            name: name.to_owned(),
            points: points::merged(self.collections.iter().map(|collected| {
                let metrics = collected.scope_metrics().flat_map(ScopeMetrics::metrics);
                metrics.filter(|metric| metric.name() == name)
            })),
            selected: Vec::new(),
            sdk: Arc::clone(&self.sdk),
        }
    }

    /// Returns the SDK's data: one item for each collection, with what has been recorded since the
    /// one before. Sums that may go down are as they were then.
    #[must_use]
    pub fn collections(&self) -> &[Arc<ResourceMetrics>] {
        &self.collections
    }

    fn all(&self) -> impl Iterator<Item = &Metric> {
        let scopes = self.collections.iter().flat_map(|collected| collected.scope_metrics());
        scopes.flat_map(ScopeMetrics::metrics)
    }
}

/// Data points of one metric.
///
/// # Example
///
/// ```
/// use opentelemetry::KeyValue;
/// use opentelemetry::metrics::MeterProvider;
/// use otel_setup::testing::TestTelemetry;
///
/// let telemetry = TestTelemetry::new();
/// let orders = telemetry.meter_provider().meter("shop").u64_counter("orders").build();
/// orders.add(2, &[KeyValue::new("item", "tea")]);
/// orders.add(3, &[KeyValue::new("item", "cake")]);
///
/// telemetry.metric("orders").assert_value(5);
/// telemetry.metric("orders").with("item", "tea").assert_value(2);
/// ```
#[derive(Clone, Debug)]
pub struct RecordedMetric {
    name: String,
    points: Vec<RecordedPoint>,
    /// The attributes that have selected the points.
    selected: Vec<KeyValue>,
    sdk: Arc<Sdk>,
}

impl RecordedMetric {
    /// Selects the data points whose attribute has this value.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        let wanted = KeyValue::new(key, value);
        self.points.retain(|point| point.attributes.contains(&wanted));
        self.selected.push(wanted);
        self
    }

    /// Returns the data points.
    #[must_use]
    pub fn points(&self) -> &[RecordedPoint] {
        &self.points
    }

    /// Returns the number of measurements in the data points of a histogram.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.points.iter().map(|point| point.count).sum()
    }

    /// Returns the sum of the data points' values: of a histogram, the sum of its measurements.
    #[must_use]
    pub fn value(&self) -> f64 {
        // The sum of no floats would be -0.
        self.points.iter().fold(0.0, |sum, point| sum + point.value)
    }

    /// Asserts the number of measurements in the data points of a histogram.
    ///
    /// # Panics
    ///
    /// Panics if it is another one. The message has all data points of the metric, and the traces.
    #[track_caller]
    pub fn assert_count(&self, expected: u64) {
        let found = self.count();
        if found != expected {
            let is_histogram = found > 0 || self.points.is_empty();
            let hint = if is_histogram {
                ""
            } else {
                ": only a histogram has them, so use `assert_value`"
            };
            let expected = counted(expected, "measurements");
            self.fail(&format!("expected {expected}, found {found}{hint}"));
        }
    }

    /// Asserts the sum of the data points' values.
    ///
    /// # Panics
    ///
    /// Panics if it is another one. The message has all data points of the metric, and the traces.
    #[expect(
        clippy::float_cmp,
        reason = "small whole numbers are exact, and others are the test's choice"
    )]
    #[track_caller]
    pub fn assert_value(&self, expected: impl Into<f64>) {
        let (found, expected) = (self.value(), expected.into());
        if found != expected {
            self.fail(&format!("expected the value {expected}, found {found}"));
        }
    }

    #[track_caller]
    fn fail(&self, problem: &str) -> ! {
        let (name, sdk) = (&self.name, &self.sdk);
        let selected = report::attributes(&self.selected);
        let all = RecordedMetrics::collected(sdk).metric(name);
        panic!(
            "{name}{{{selected}}}: {problem}\n{}\n{}",
            report::points(name, all.points()),
            report::recorded(sdk)
        )
    }
}
