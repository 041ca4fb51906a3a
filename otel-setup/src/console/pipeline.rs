//! Adds the console exporters to the providers.

use std::time::Duration;

use opentelemetry_sdk::logs::{BatchLogProcessor, LoggerProviderBuilder};
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader};
use opentelemetry_sdk::trace::{BatchSpanProcessor, TracerProviderBuilder};

use super::logs::ConsoleLogExporter;
use super::metrics::ConsoleMetricExporter;
use super::spans::ConsoleSpanExporter;
use crate::batch_settings::Batches;
use crate::env::Environment;

/// The exporter `console`, as the program configures it.
#[derive(Debug, Default)]
pub(crate) struct ConsolePipeline {
    pub(crate) json: bool,
}

impl ConsolePipeline {
    pub(crate) fn spans(&self, provider: TracerProviderBuilder, environment: &Environment) -> TracerProviderBuilder {
        let exporter = if self.json {
            ConsoleSpanExporter::json()
        } else {
            ConsoleSpanExporter::human()
        };
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(Batches::span_config(environment));
        provider.with_span_processor(processor.build())
    }

    pub(crate) fn metrics(&self, provider: MeterProviderBuilder, interval: Duration) -> MeterProviderBuilder {
        let exporter = if self.json {
            ConsoleMetricExporter::json()
        } else {
            ConsoleMetricExporter::human()
        };
        let reader = PeriodicReader::builder(exporter).with_interval(interval);
        provider.with_reader(reader.build())
    }

    pub(crate) fn logs(&self, provider: LoggerProviderBuilder, environment: &Environment) -> LoggerProviderBuilder {
        let exporter = if self.json {
            ConsoleLogExporter::json()
        } else {
            ConsoleLogExporter::human()
        };
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(Batches::log_config(environment));
        provider.with_log_processor(processor.build())
    }
}
