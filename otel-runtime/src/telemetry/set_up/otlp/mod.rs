//! The exporter `otlp`: to a collector, or whatever else speaks the OpenTelemetry protocol.
//!
//! One file for each question: what is asked for (`settings`, of `protocol`, `endpoint`, `headers`, `tls` and `variables`), what sends it (`transport`, `http_client`), and what becomes of it (`counted`
//! before the queue, `watched` behind it, `points`).

mod counted;
mod endpoint;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod headers;
mod http_client;
mod points;
mod protocol;
mod settings;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
mod transport;
mod variables;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::logs::{BatchConfig as LogBatches, BatchLogProcessor, LoggerProviderBuilder};
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader};
use opentelemetry_sdk::trace::{BatchConfig as SpanBatches, BatchSpanProcessor, TracerProviderBuilder};

use self::counted::Counted;
use self::http_client::LastCause;
pub use self::protocol::Protocol;
use self::settings::Settings;
use self::watched::{Watch, Watched};
use super::InitError;
use super::background::Background;
use super::environment::Environment;
use super::signal::Signal;
use super::tally::Tally;

/// What the program says of OTLP.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) endpoint: Option<String>,
    pub(super) protocol: Option<Protocol>,
    pub(super) headers: Vec<(String, String)>,
}

/// The OTLP exporters of one set-up, and what they have in common.
#[derive(Debug, Default)]
pub(super) struct Otlp {
    pub(super) options: Options,
    /// Started with the first exporter.
    background: Option<Background>,
    pub(super) tallies: Vec<Arc<Tally>>,
}

impl Otlp {
    /// Adds the exporter of spans.
    pub(super) fn spans(
        &mut self,
        provider: TracerProviderBuilder,
        batches: SpanBatches,
        environment: &Environment,
    ) -> Result<TracerProviderBuilder, InitError> {
        let (exporter, tally) = self.exporter(Signal::Traces, environment, transport::spans)?;
        let processor = BatchSpanProcessor::builder(exporter);
        let processor = processor.with_batch_config(batches).build();
        Ok(provider.with_span_processor(Counted::new(processor, tally)))
    }

    /// Adds the exporter of metrics.
    pub(super) fn metrics(
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
    pub(super) fn logs(
        &mut self,
        provider: LoggerProviderBuilder,
        batches: LogBatches,
        environment: &Environment,
    ) -> Result<LoggerProviderBuilder, InitError> {
        let (exporter, tally) = self.exporter(Signal::Logs, environment, transport::logs)?;
        let processor = BatchLogProcessor::builder(exporter);
        let processor = processor.with_batch_config(batches).build();
        Ok(provider.with_log_processor(Counted::new(processor, tally)))
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
