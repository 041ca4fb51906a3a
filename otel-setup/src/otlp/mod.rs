//! The exporter `otlp`: exports over the OpenTelemetry protocol.
//!
//! * Configuration: `settings`, from `protocol`, `endpoint`, `headers`, `tls` and `signal_var`.
//! * Transport: `transport`, `http_client`.
//! * Statistics: `counting_processor` in front of the queue, `monitored_exporter` behind it, and
//!   `data_points`.

mod counting_processor;
mod data_points;
pub(crate) mod endpoint;
pub(crate) mod headers;
mod http_client;
mod monitored_exporter;
pub(crate) mod protocol;
pub(crate) mod settings;
mod signal_var;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
mod tls {
    /// No TLS settings exist without the Cargo feature `tls`.
    pub(crate) type Tls = std::convert::Infallible;
}
mod transport;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::logs::{BatchLogProcessor, LoggerProviderBuilder};
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader};
use opentelemetry_sdk::trace::{BatchSpanProcessor, TracerProviderBuilder};

use self::counting_processor::CountingProcessor;
use self::http_client::LastError;
use self::monitored_exporter::{ExportMonitor, MonitoredExporter};
pub use self::protocol::Protocol;
use self::settings::{Options, Settings};
use crate::batch_settings::BatchSettings;
use crate::env::Env;
use crate::error::InitError;
use crate::export_runtime::ExportRuntime;
use crate::export_stats::ExportStats;
use crate::signal::Signal;

/// The OTLP exporters of one setup, with the settings and the thread that they share.
#[derive(Debug, Default)]
pub(crate) struct Otlp {
    pub(crate) options: Options,
    /// `None` until the first exporter is built.
    runtime: Option<ExportRuntime>,
    pub(crate) export_stats: Vec<Arc<ExportStats>>,
}

impl Otlp {
    /// Adds the exporter of spans.
    pub(crate) fn spans(
        &mut self,
        provider: TracerProviderBuilder,
        env: &Env,
    ) -> Result<TracerProviderBuilder, InitError> {
        let (exporter, stats) = self.exporter(Signal::Traces, env, transport::spans)?;
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(BatchSettings::span_config(env));
        Ok(provider.with_span_processor(CountingProcessor::new(processor.build(), stats)))
    }

    /// Adds the exporter of metrics.
    pub(crate) fn metrics(
        &mut self,
        provider: MeterProviderBuilder,
        interval: Duration,
        env: &Env,
    ) -> Result<MeterProviderBuilder, InitError> {
        let temporality = settings::temporality(env);
        let (exporter, _) = self.exporter(Signal::Metrics, env, |settings, last_error| {
            transport::metrics(settings, temporality, last_error)
        })?;
        let reader = PeriodicReader::builder(exporter);
        Ok(provider.with_reader(reader.with_interval(interval).build()))
    }

    /// Adds the exporter of log records.
    pub(crate) fn logs(
        &mut self,
        provider: LoggerProviderBuilder,
        env: &Env,
    ) -> Result<LoggerProviderBuilder, InitError> {
        let (exporter, stats) = self.exporter(Signal::Logs, env, transport::logs)?;
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(BatchSettings::log_config(env));
        Ok(provider.with_log_processor(CountingProcessor::new(processor.build(), stats)))
    }

    /// Builds an exporter with its monitor and statistics.
    fn exporter<E>(
        &mut self,
        signal: Signal,
        env: &Env,
        build: impl FnOnce(&Settings, &LastError) -> Result<E, ExporterBuildError>,
    ) -> Result<(MonitoredExporter<E>, Arc<ExportStats>), InitError> {
        let settings = Settings::resolve(signal, &self.options, env)?;
        let endpoint = endpoint::redacted(&settings.endpoint);
        let runtime = self.runtime()?;
        let last_error = LastError::default();
        let exporter = runtime.enter(|| build(&settings, &last_error)).map_err(|error| {
            InitError::new(format!(
                "cannot build the OTLP exporter of {signal} for {endpoint}: {error}"
            ))
            .with_source(error)
        })?;
        let stats = Arc::new(ExportStats::new(signal, endpoint));
        self.export_stats.push(Arc::clone(&stats));
        let monitor = ExportMonitor::new(runtime, settings.timeout, last_error, Arc::clone(&stats));
        Ok((MonitoredExporter { exporter, monitor }, stats))
    }

    fn runtime(&mut self) -> Result<ExportRuntime, InitError> {
        if let Some(runtime) = &self.runtime {
            return Ok(runtime.clone());
        }
        let runtime = ExportRuntime::start().map_err(|error| {
            InitError::new(format!("cannot start the thread of the OTLP exporters: {error}")).with_source(error)
        })?;
        self.runtime = Some(runtime.clone());
        Ok(runtime)
    }
}
