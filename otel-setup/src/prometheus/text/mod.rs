//! Text for Prometheus: version 0.0.4 and OpenMetrics 1.0.

mod histogram;
mod merged;

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};

use crate::prometheus::buckets::Buckets;
use crate::prometheus::exemplars::Exemplars;
use crate::prometheus::exponential::Exponential;
use crate::prometheus::families::{Family, Names};
use crate::prometheus::kind::Kind;
use crate::prometheus::labels::{Labels, push_help, push_quoted};
use crate::prometheus::names::is_plain_metric;
use crate::prometheus::negotiation::Format;
use crate::prometheus::numbers::{Number, push_seconds};
use crate::prometheus::series::SeriesTable;

/// Writes one scrape.
pub(crate) struct Text<'s, 'a> {
    out: String,
    format: Format,
    names: &'s mut Names,
    series: &'s mut SeriesTable,
    labels: Labels<'a>,
    /// The labels of the current data point, as text.
    current_labels: String,
    /// The boundaries of the last histogram, and their text.
    boundaries: (Vec<f64>, Vec<String>),
    exemplars: Exemplars,
}

impl<'s, 'a> Text<'s, 'a> {
    /// `escapes`: whether the names of labels are limited to ASCII letters, digits and underscores.
    pub(crate) fn new(
        format: Format,
        escapes: bool,
        names: &'s mut Names,
        series: &'s mut SeriesTable,
        exemplars: Exemplars,
    ) -> Self {
        Text {
            out: String::new(),
            format,
            names,
            series,
            labels: Labels::new(escapes),
            current_labels: String::new(),
            boundaries: (Vec::new(), Vec::new()),
            exemplars,
        }
    }

    /// Reserves memory for a text of this length, so that it need not grow.
    pub(crate) fn with_capacity(mut self, length: usize) -> Self {
        self.out.reserve_exact(length);
        self
    }

    pub(crate) fn finish(mut self) -> String {
        if self.format.is_open_metrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    /// Writes the attributes of the resource.
    ///
    /// Clause "Resource Attributes": "an OpenTelemetry Resource SHOULD be converted to a `target`
    /// info metric if the resource is not empty". Text 0.0.4 has no such type, so there "a
    /// gauge-typed metric family named `target_info` with a constant value of 1 MUST be used".
    pub(crate) fn target_info(&mut self, resource: &'a Resource) {
        if resource.is_empty() {
            return;
        }
        self.labels.clear();
        self.labels
            .push_attributes(resource.iter().map(|(key, value)| (key.as_str(), value)));
        self.current_labels.clear();
        self.labels.write(&mut self.current_labels);
        let (name, type_name) = if self.format.is_open_metrics {
            ("target", "info")
        } else {
            ("target_info", "gauge")
        };
        self.metadata(name, type_name, "", "Target metadata");
        self.sample("target_info", "", None);
        self.out.push_str("1\n");
    }

    /// Writes a family with its series.
    pub(crate) fn family(&mut self, family: &Family<'a>) {
        let is_open_metrics = self.format.is_open_metrics;
        let (name, type_name) = match family.kind {
            Kind::Counter if is_open_metrics && family.is_complete => (family.base_name(), "counter"),
            // In OpenMetrics, a counter has a name without `_total` as well.
            Kind::Counter if is_open_metrics => (family.name.as_str(), "unknown"),
            kind => (family.name.as_str(), kind.type_name()),
        };
        // OpenMetrics demands that the name ends with the unit.
        let is_suffix = |unit: &&str| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
        let unit = Some(family.unit.as_str()).filter(|unit| is_open_metrics && !unit.is_empty());
        let unit = unit.filter(is_suffix).unwrap_or_default();
        self.metadata(name, type_name, unit, family.help);
        let begun = self.out.len();
        if !(family.metrics.iter()).all(|(scope, metric)| self.metric(family, scope, metric)) {
            self.out.truncate(begun);
            self.merged(family);
        }
    }

    /// Writes a metric, until two of its points have the same labels. Returns whether none had.
    fn metric(&mut self, family: &Family<'a>, scope: &'a InstrumentationScope, metric: &'a Metric) -> bool {
        match metric.data() {
            AggregatedMetrics::F64(data) => self.data(family, scope, metric.name(), data),
            AggregatedMetrics::U64(data) => self.data(family, scope, metric.name(), data),
            AggregatedMetrics::I64(data) => self.data(family, scope, metric.name(), data),
        }
    }

    fn data<T: Number>(
        &mut self,
        family: &Family<'a>,
        scope: &'a InstrumentationScope,
        name: &str,
        data: &'a MetricData<T>,
    ) -> bool {
        match data {
            MetricData::Gauge(gauge) => {
                for point in gauge.data_points() {
                    let Some(_) = self.start(family, scope, point.attributes(), UNIX_EPOCH) else {
                        return false;
                    };
                    self.value(&family.name, point.value());
                }
            }
            MetricData::Sum(sum) => {
                for point in sum.data_points() {
                    let Some(start) = self.start(family, scope, point.attributes(), sum.start_time()) else {
                        return false;
                    };
                    self.sum(family, point.value(), start);
                }
            }
            MetricData::Histogram(histogram) => {
                for point in histogram.data_points() {
                    let Some(start) = self.start(family, scope, point.attributes(), histogram.start_time()) else {
                        return false;
                    };
                    let exemplars = self.exemplars.for_point(scope, name, point);
                    self.histogram(family, &Buckets::new(point, exemplars), start);
                }
            }
            MetricData::ExponentialHistogram(histogram) => {
                for point in histogram.data_points() {
                    let Some(start) = self.start(family, scope, point.attributes(), histogram.start_time()) else {
                        return false;
                    };
                    self.histogram(family, &Exponential::new(point).into(), start);
                }
            }
        }
        true
    }

    /// Sets the labels of a data point, and returns its start time, or `None` if another point had
    /// these labels.
    fn start(
        &mut self,
        family: &Family<'a>,
        scope: &'a InstrumentationScope,
        attributes: impl Iterator<Item = &'a KeyValue>,
        instrument_start: SystemTime,
    ) -> Option<SystemTime> {
        self.set_labels(family, scope, attributes);
        (self.series).start_time(&family.name, &self.current_labels, instrument_start)
    }

    fn set_labels(
        &mut self,
        family: &Family<'a>,
        scope: &'a InstrumentationScope,
        attributes: impl Iterator<Item = &'a KeyValue>,
    ) {
        self.labels.clear();
        self.labels.push_scope(scope);
        match family.kind {
            Kind::Histogram => self.labels.push_histogram_attributes(attributes),
            _ => self
                .labels
                .push_attributes(attributes.map(|attribute| (attribute.key.as_str(), &attribute.value))),
        }
        self.current_labels.clear();
        self.labels.write(&mut self.current_labels);
    }

    fn sum<T: Number>(&mut self, family: &Family<'_>, value: T, start: SystemTime) {
        if family.kind == Kind::Counter && self.format.is_open_metrics {
            // OpenMetrics has no such counters; text 0.0.4 and gauges have.
            if value.as_f64().is_nan() || value.as_f64() < 0.0 {
                let problem = format!("the counter {} is negative or not a number; dropping it", family.name);
                return self.names.warn(problem);
            }
            self.value(&family.name, value);
            if family.is_complete {
                self.created(family.base_name(), start);
            }
        } else {
            self.value(&family.name, value);
        }
    }

    fn value<T: Number>(&mut self, name: &str, value: T) {
        self.sample(name, "", None);
        value.push(&mut self.out);
        self.out.push('\n');
    }

    fn created(&mut self, name: &str, start: SystemTime) {
        self.sample(name, "_created", None);
        push_seconds(&mut self.out, start);
        self.out.push('\n');
    }

    /// Writes the name and the labels of a sample, and a space.
    fn sample(&mut self, name: &str, suffix: &str, le: Option<&str>) {
        let out = &mut self.out;
        let is_plain = !self.format.is_utf8 || is_plain_metric(name);
        let mut separator = "{";
        if is_plain {
            out.push_str(name);
            out.push_str(suffix);
        } else {
            out.push('{');
            push_quoted(out, &format!("{name}{suffix}"));
            separator = ",";
        }
        if !self.current_labels.is_empty() {
            out.push_str(separator);
            out.push_str(&self.current_labels);
            separator = ",";
        }
        if let Some(le) = le {
            out.push_str(separator);
            out.push_str("le=\"");
            out.push_str(le);
            out.push('"');
            separator = ",";
        }
        out.push_str(if separator == "," { "} " } else { " " });
    }

    fn metadata(&mut self, name: &str, type_name: &str, unit: &str, help: &str) {
        let mut quoted = String::new();
        let name = if is_plain_metric(name) {
            name
        } else {
            push_quoted(&mut quoted, name);
            &quoted
        };
        let out = &mut self.out;
        if !help.is_empty() {
            for text in ["# HELP ", name, " "] {
                out.push_str(text);
            }
            push_help(out, help, self.format.is_open_metrics);
            out.push('\n');
        }
        for text in ["# TYPE ", name, " ", type_name, "\n"] {
            out.push_str(text);
        }
        if !unit.is_empty() {
            for text in ["# UNIT ", name, " ", unit, "\n"] {
                out.push_str(text);
            }
        }
    }
}
