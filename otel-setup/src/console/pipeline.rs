//! Adds the console exporters to the providers.

use std::time::Duration;

use opentelemetry_sdk::logs::{BatchLogProcessor, LoggerProviderBuilder};
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader};
use opentelemetry_sdk::trace::{BatchSpanProcessor, TracerProviderBuilder};

use super::logs::ConsoleLogExporter;
use super::metrics::ConsoleMetricExporter;
use super::spans::ConsoleSpanExporter;
use crate::batch_settings::BatchSettings;
use crate::env::Env;

/// The settings of the exporter `console`.
#[derive(Debug, Default)]
pub(crate) struct ConsolePipeline {
    pub(crate) json: bool,
}

impl ConsolePipeline {
    pub(crate) fn spans(&self, provider: TracerProviderBuilder, env: &Env) -> TracerProviderBuilder {
        let exporter = if self.json {
            ConsoleSpanExporter::json()
        } else {
            ConsoleSpanExporter::pretty()
        };
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(BatchSettings::span_config(env));
        provider.with_span_processor(processor.build())
    }

    pub(crate) fn metrics(&self, provider: MeterProviderBuilder, interval: Duration) -> MeterProviderBuilder {
        let exporter = if self.json {
            ConsoleMetricExporter::json()
        } else {
            ConsoleMetricExporter::pretty()
        };
        let reader = PeriodicReader::builder(exporter).with_interval(interval);
        provider.with_reader(reader.build())
    }

    pub(crate) fn logs(&self, provider: LoggerProviderBuilder, env: &Env) -> LoggerProviderBuilder {
        let exporter = if self.json {
            ConsoleLogExporter::json()
        } else {
            ConsoleLogExporter::pretty()
        };
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(BatchSettings::log_config(env));
        provider.with_log_processor(processor.build())
    }
}
