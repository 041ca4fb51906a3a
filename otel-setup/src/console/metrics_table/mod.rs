//! Draws metrics as text: one table per instrument, with one row per attribute set.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics};

use crate::text::escape_control;

/// The attributes of the first columns. Others follow, sorted by name.
const LEADING_COLUMNS: [&str; 3] = ["rpc.method", "rpc.status_code", "error.type"];

/// An attribute without a column, since its value is always `grpc`.
const HIDDEN_ATTRIBUTE: &str = "rpc.system.name";

/// A line below the header, and no other borders.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Draws one table per instrument in `metrics`, with one row per attribute set.
///
/// Histograms show count, mean and maximum; sums and gauges show the current value. Seconds are
/// scaled to a readable unit. The attribute `rpc.system.name` is omitted.
///
/// # Example
///
/// ```
/// use opentelemetry::{KeyValue, metrics::MeterProvider};
/// use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
/// use otel_setup::console::metrics_table;
///
/// let metrics = InMemoryMetricExporter::default();
/// let provider = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
/// let counter = provider.meter("shop").u64_counter("orders").with_description("What was sold.").build();
/// counter.add(2, &[KeyValue::new("item", "tea")]);
/// provider.force_flush().unwrap();
///
/// let drawn = metrics_table(&metrics.get_finished_metrics().unwrap()[0]);
/// assert_eq!(drawn, "orders: What was sold.\n item   now\n────────────\n tea      2\n");
/// ```
///
/// # Panics
///
/// Never.
#[must_use]
pub fn metrics_table(metrics: &ResourceMetrics) -> String {
    let mut text = String::new();
    let all = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
    for (index, metric) in all.enumerate() {
        let gap = if index > 0 { "\n" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{gap}{}", heading(metric));
        let _ = writeln!(text, "{}", DataPoints::new(metric).table().trim_fmt());
    }
    text
}

fn heading(metric: &Metric) -> String {
    let (name, description) = (escape_control(metric.name()), escape_control(metric.description()));
    if description.is_empty() {
        name.into_owned()
    } else {
        format!("{name}: {description}")
    }
}

/// The data points of one instrument.
struct DataPoints {
    /// The headers of [`DataPoint::values`].
    values: &'static [&'static str],
    points: Vec<DataPoint>,
}

struct DataPoint {
    attributes: Vec<KeyValue>,
    values: Vec<String>,
}

impl DataPoints {
    #[expect(clippy::cast_precision_loss, reason = "the table shows fewer digits")]
    fn new(metric: &Metric) -> Self {
        match metric.data() {
            AggregatedMetrics::F64(data) => Self::read(data, metric.unit(), |value| value),
            AggregatedMetrics::U64(data) => Self::read(data, metric.unit(), |value| value as f64),
            AggregatedMetrics::I64(data) => Self::read(data, metric.unit(), |value| value as f64),
        }
    }

    fn read<T: Copy>(data: &MetricData<T>, unit: &str, number: impl Fn(T) -> f64) -> Self {
        let show = |value| quantity(number(value), unit);
        match data {
            MetricData::Histogram(histogram) => DataPoints {
                values: DISTRIBUTION,
                points: histogram
                    .data_points()
                    .map(|point| DataPoint {
                        attributes: point.attributes().cloned().collect(),
                        values: distribution(point.count(), number(point.sum()), point.max().map(show), unit),
                    })
                    .collect(),
            },
            MetricData::ExponentialHistogram(histogram) => DataPoints {
                values: DISTRIBUTION,
                points: histogram
                    .data_points()
                    .map(|point| DataPoint {
                        attributes: point.attributes().cloned().collect(),
                        values: distribution(point.count() as u64, number(point.sum()), point.max().map(show), unit),
                    })
                    .collect(),
            },
            MetricData::Sum(sum) => DataPoints {
                values: &["now"],
                points: sum
                    .data_points()
                    .map(|point| DataPoint {
                        attributes: point.attributes().cloned().collect(),
                        values: vec![show(point.value())],
                    })
                    .collect(),
            },
            MetricData::Gauge(gauge) => DataPoints {
                values: &["now"],
                points: gauge
                    .data_points()
                    .map(|point| DataPoint {
                        attributes: point.attributes().cloned().collect(),
                        values: vec![show(point.value())],
                    })
                    .collect(),
            },
        }
    }

    fn table(&self) -> Table {
        let keys = self.keys();
        // The SDK returns data points in arbitrary order.
        let mut rows: Vec<Vec<String>> = self.points.iter().map(|point| point.row(&keys)).collect();
        rows.sort();
        let mut table = Table::new();
        table.load_style(STYLE);
        table.set_header(
            keys.iter()
                .map(|key| escape_control(key))
                .chain(self.values.iter().map(|value| escape_control(value))),
        );
        table.add_rows(rows);
        for column in table.column_iter_mut().skip(keys.len()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// Returns the attributes of all data points, in the order of their columns.
    fn keys(&self) -> Vec<&str> {
        let attributes = self.points.iter().flat_map(|point| &point.attributes);
        let keys: BTreeSet<&str> = attributes.map(|attribute| attribute.key.as_str()).collect();
        let mut keys: Vec<&str> = keys.into_iter().filter(|key| *key != HIDDEN_ATTRIBUTE).collect();
        keys.sort_by_key(|key| {
            LEADING_COLUMNS
                .iter()
                .position(|first| first == key)
                .unwrap_or(LEADING_COLUMNS.len())
        });
        keys
    }
}

impl DataPoint {
    fn row(&self, keys: &[&str]) -> Vec<String> {
        let attribute = |key: &&str| {
            let found = self.attributes.iter().find(|attribute| attribute.key.as_str() == *key);
            found
                .map(|attribute| escape_control(&attribute.value.as_str()).into_owned())
                .unwrap_or_default()
        };
        keys.iter().map(attribute).chain(self.values.iter().cloned()).collect()
    }
}

/// The columns of a histogram, without its buckets.
const DISTRIBUTION: &[&str] = &["count", "mean", "max"];

fn distribution(count: u64, sum: f64, max: Option<String>, unit: &str) -> Vec<String> {
    let mean = if count == 0 {
        String::new()
    } else {
        quantity(mean(sum, count), unit)
    };
    vec![count.to_string(), mean, max.unwrap_or_default()]
}

#[expect(clippy::cast_precision_loss, reason = "the table shows fewer digits")]
fn mean(sum: f64, count: u64) -> f64 {
    sum / count as f64
}

/// Scales seconds to a readable unit, and formats other values unchanged.
fn quantity(value: f64, unit: &str) -> String {
    match Duration::try_from_secs_f64(value) {
        Ok(duration) if unit == "s" => format!("{duration:.1?}"),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
