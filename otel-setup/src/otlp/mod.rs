//! The exporter `otlp`: to a collector, or whatever else speaks the OpenTelemetry protocol.
//!
//! One file for each question: what is asked for (`settings`, of `protocol`, `endpoint`, `headers`, `tls` and `variables`), what sends it (`transport`, `http_client`), and what becomes of it (`counted`
//! before the queue, `watched` behind it, `points`).

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
    /// Without the cargo feature `tls` there is none.
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
use self::http_client::LastCause;
use self::monitored_exporter::{ExportMonitor, MonitoredExporter};
pub use self::protocol::Protocol;
use self::settings::{Options, Settings};
use crate::batch_settings::BatchSettings;
use crate::env::Env;
use crate::error::InitError;
use crate::export_runtime::ExportRuntime;
use crate::export_stats::ExportStats;
use crate::signal::Signal;

/// The OTLP exporters of one set-up, and what they have in common.
#[derive(Debug, Default)]
pub(crate) struct Otlp {
    pub(crate) options: Options,
    /// Started with the first exporter.
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
        let (exporter, _) = self.exporter(Signal::Metrics, env, |settings, last_cause| {
            transport::metrics(settings, temporality, last_cause)
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

    fn exporter<E>(
        &mut self,
        signal: Signal,
        env: &Env,
        build: impl FnOnce(&Settings, &LastCause) -> Result<E, ExporterBuildError>,
    ) -> Result<(MonitoredExporter<E>, Arc<ExportStats>), InitError> {
        let settings = Settings::resolve(signal, &self.options, env)?;
        let receiver = endpoint::redacted(&settings.endpoint);
        let runtime = self.runtime()?;
        let last_cause = LastCause::default();
        let exporter = runtime.enter(|| build(&settings, &last_cause)).map_err(|error| {
            InitError::new(format!("{signal} cannot be sent to {receiver}: {error}")).with_source(error)
        })?;
        let stats = Arc::new(ExportStats::new(signal, receiver));
        self.export_stats.push(Arc::clone(&stats));
        let monitor = ExportMonitor::new(runtime, settings.timeout, last_cause, Arc::clone(&stats));
        Ok((MonitoredExporter { exporter, monitor }, stats))
    }

    fn runtime(&mut self) -> Result<ExportRuntime, InitError> {
        if let Some(runtime) = &self.runtime {
            return Ok(runtime.clone());
        }
        let started = ExportRuntime::start();
        let runtime =
            started.map_err(|error| InitError::new("exporters need a thread, and there is none").with_source(error))?;
        self.runtime = Some(runtime.clone());
        Ok(runtime)
    }
}
