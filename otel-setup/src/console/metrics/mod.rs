//! The exporter of metrics.

use std::fmt;
use std::io::Write;
use std::time::{Duration, SystemTime};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use super::handle::Handle;
use super::json;
use super::metrics_table::metrics_table;
use crate::text;

/// Writes metrics to the console.
///
/// [`pretty`](Self::pretty) draws [tables](super::metrics_table()) below a line with the time.
/// [`json`](Self::json) writes each instrument as [a JSON object](super#json) per line. Without
/// measurements, nothing is written.
///
/// # Example
///
/// ```
/// use opentelemetry::metrics::MeterProvider;
/// use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
/// use otel_setup::console::ConsoleMetricExporter;
///
/// let reader = PeriodicReader::builder(ConsoleMetricExporter::json()).build();
/// let provider = SdkMeterProvider::builder().with_reader(reader).build();
/// provider.meter("shop").u64_counter("orders").build().add(1, &[]);
/// provider.shutdown()?;
/// # Ok::<(), opentelemetry_sdk::error::OTelSdkError>(())
/// ```
///
/// # Errors
///
/// Exports fail if the writer fails, for example because of a closed pipe, and after the shutdown.
///
/// # Panics
///
/// Only if the writer panics.
#[derive(Clone)]
pub struct ConsoleMetricExporter {
    handle: Handle<Format>,
    temporality: Temporality,
}

enum Format {
    Pretty,
    Json,
}

impl ConsoleMetricExporter {
    /// Writes tables to stdout, with a bold heading if [stdout supports
    /// it](crate::stdout_supports_color).
    #[must_use]
    pub fn pretty() -> Self {
        Self::stdout(Format::Pretty)
    }

    /// Writes JSON to stdout, one object per line.
    #[must_use]
    pub fn json() -> Self {
        Self::stdout(Format::Json)
    }

    fn stdout(format: Format) -> Self {
        ConsoleMetricExporter {
            handle: Handle::stdout(format),
            temporality: Temporality::Cumulative,
        }
    }

    /// Sets another writer, and turns colors off.
    #[must_use]
    pub fn writer(self, writer: impl Write + Send + 'static) -> Self {
        self.handle.set_writer(writer);
        self
    }

    /// Turns the style of the heading on or off.
    #[must_use]
    pub fn color(self, color: bool) -> Self {
        self.handle.set_color(color);
        self
    }

    /// Sets the temporality. The default is cumulative.
    #[must_use]
    pub fn temporality(mut self, temporality: Temporality) -> Self {
        self.temporality = temporality;
        self
    }
}

impl PushMetricExporter for ConsoleMetricExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.handle.export(|console| match console.format {
            Format::Pretty => {
                let tables = metrics_table(metrics);
                if tables.is_empty() {
                    return Ok(tables);
                }
                let heading = console.paint.bold("metrics");
                let time = collection_time(metrics).and_then(text::time).unwrap_or_default();
                Ok(format!("{heading} {time}\n\n{tables}\n"))
            }
            Format::Json => json::metrics(metrics),
        })
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.handle.shut_down(|_| String::new())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

/// Returns the time of the collection.
fn collection_time(metrics: &ResourceMetrics) -> Option<SystemTime> {
    fn time<T>(data: &MetricData<T>) -> SystemTime {
        match data {
            MetricData::Gauge(gauge) => gauge.time(),
            MetricData::Sum(sum) => sum.time(),
            MetricData::Histogram(histogram) => histogram.time(),
            MetricData::ExponentialHistogram(histogram) => histogram.time(),
        }
    }
    let times = metrics
        .scope_metrics()
        .flat_map(ScopeMetrics::metrics)
        .map(Metric::data);
    times
        .map(|data| match data {
            AggregatedMetrics::F64(data) => time(data),
            AggregatedMetrics::U64(data) => time(data),
            AggregatedMetrics::I64(data) => time(data),
        })
        .max()
}

impl fmt::Debug for ConsoleMetricExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleMetricExporter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
