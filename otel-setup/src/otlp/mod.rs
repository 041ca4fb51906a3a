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

use self::counting_processor::Counted;
use self::http_client::LastCause;
use self::monitored_exporter::{Watch, Watched};
pub use self::protocol::Protocol;
use self::settings::{Options, Settings};
use crate::batch_settings::Batches;
use crate::env::Environment;
use crate::error::InitError;
use crate::export_runtime::Background;
use crate::export_stats::Tally;
use crate::signal::Signal;

/// The OTLP exporters of one set-up, and what they have in common.
#[derive(Debug, Default)]
pub(crate) struct Otlp {
    pub(crate) options: Options,
    /// Started with the first exporter.
    background: Option<Background>,
    pub(crate) tallies: Vec<Arc<Tally>>,
}

impl Otlp {
    /// Adds the exporter of spans.
    pub(crate) fn spans(
        &mut self,
        provider: TracerProviderBuilder,
        environment: &Environment,
    ) -> Result<TracerProviderBuilder, InitError> {
        let (exporter, tally) = self.exporter(Signal::Traces, environment, transport::spans)?;
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(Batches::span_config(environment));
        Ok(provider.with_span_processor(Counted::new(processor.build(), tally)))
    }

    /// Adds the exporter of metrics.
    pub(crate) fn metrics(
        &mut self,
        provider: MeterProviderBuilder,
        interval: Duration,
        environment: &Environment,
    ) -> Result<MeterProviderBuilder, InitError> {
        let temporality = settings::temporality(environment);
        let (exporter, _) = self.exporter(Signal::Metrics, environment, |settings, last_cause| {
            transport::metrics(settings, temporality, last_cause)
        })?;
        let reader = PeriodicReader::builder(exporter);
        Ok(provider.with_reader(reader.with_interval(interval).build()))
    }

    /// Adds the exporter of log records.
    pub(crate) fn logs(
        &mut self,
        provider: LoggerProviderBuilder,
        environment: &Environment,
    ) -> Result<LoggerProviderBuilder, InitError> {
        let (exporter, tally) = self.exporter(Signal::Logs, environment, transport::logs)?;
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(Batches::log_config(environment));
        Ok(provider.with_log_processor(Counted::new(processor.build(), tally)))
    }

    fn exporter<E>(
        &mut self,
        signal: Signal,
        environment: &Environment,
        build: impl FnOnce(&Settings, &LastCause) -> Result<E, ExporterBuildError>,
    ) -> Result<(Watched<E>, Arc<Tally>), InitError> {
        let settings = Settings::of(signal, &self.options, environment)?;
        let receiver = endpoint::shown(&settings.endpoint);
        let background = self.background()?;
        let last_cause = LastCause::default();
        let exporter = background.enter(|| build(&settings, &last_cause)).map_err(|error| {
            InitError::new(format!("{signal} cannot be sent to {receiver}: {error}")).because(error)
        })?;
        let tally = Arc::new(Tally::new(signal, receiver));
        self.tallies.push(Arc::clone(&tally));
        let by = Watch::new(background, settings.timeout, last_cause, Arc::clone(&tally));
        Ok((Watched { exporter, by }, tally))
    }

    fn background(&mut self) -> Result<Background, InitError> {
        if let Some(background) = &self.background {
            return Ok(background.clone());
        }
        let started = Background::start();
        let background =
            started.map_err(|error| InitError::new("exporters need a thread, and there is none").because(error))?;
        self.background = Some(background.clone());
        Ok(background)
    }
}
