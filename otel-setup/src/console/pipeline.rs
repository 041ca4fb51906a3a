//! Adds the console exporters to the providers.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "zpages")]
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader};
use opentelemetry_sdk::trace::SpanData;

use super::logs::ConsoleLogExporter;
use super::metrics::ConsoleMetricExporter;
use super::monitored::MonitoredExporter;
use super::spans::ConsoleSpanExporter;
use crate::batch::{BatchProcessor, LogItem};
use crate::env::Env;
use crate::error::InitError;
use crate::export_stats::ExportStats;
use crate::signal::Signal;
use crate::temporality::{self, temporality};

/// The settings of the exporter `console`, and the statistics of those that are set up.
#[derive(Debug, Default)]
pub(crate) struct ConsolePipeline {
    pub(crate) json: bool,
    pub(crate) export_stats: Vec<Arc<ExportStats>>,
    /// The reader of metrics, which the zPages share.
    #[cfg(feature = "zpages")]
    pub(crate) reader: Option<Arc<dyn opentelemetry_sdk::metrics::reader::MetricReader>>,
}

impl ConsolePipeline {
    pub(crate) fn spans(&mut self, env: &Env) -> Result<BatchProcessor<SpanData>, InitError> {
        let exporter = if self.json {
            ConsoleSpanExporter::json()
        } else {
            ConsoleSpanExporter::pretty()
        };
        let (exporter, stats) = self.monitored(Signal::Traces, exporter);
        BatchProcessor::spans(exporter, stats, env)
    }

    pub(crate) fn metrics(
        &mut self,
        provider: MeterProviderBuilder,
        interval: Duration,
        env: &Env,
    ) -> MeterProviderBuilder {
        let exporter = if self.json {
            ConsoleMetricExporter::json()
        } else {
            ConsoleMetricExporter::pretty()
        };
        let temporality = temporality(temporality::CONSOLE, env);
        let (exporter, _) = self.monitored(Signal::Metrics, exporter.temporality(temporality));
        let reader = PeriodicReader::builder(exporter).with_interval(interval).build();
        #[cfg(feature = "zpages")]
        if temporality == Temporality::Cumulative {
            self.reader = Some(Arc::new(reader.clone()));
        }
        provider.with_reader(reader)
    }

    pub(crate) fn logs(&mut self, env: &Env) -> Result<BatchProcessor<LogItem>, InitError> {
        let exporter = if self.json {
            ConsoleLogExporter::json()
        } else {
            ConsoleLogExporter::pretty()
        };
        let (exporter, stats) = self.monitored(Signal::Logs, exporter);
        BatchProcessor::logs(exporter, stats, env)
    }

    fn monitored<E>(&mut self, signal: Signal, exporter: E) -> (MonitoredExporter<E>, Arc<ExportStats>) {
        let stats = Arc::new(ExportStats::new(signal, "stdout".to_owned()));
        self.export_stats.push(Arc::clone(&stats));
        (MonitoredExporter::new(exporter, Arc::clone(&stats)), stats)
    }
}
