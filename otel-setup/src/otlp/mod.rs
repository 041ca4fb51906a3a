//! The exporter `otlp`: exports over the OpenTelemetry protocol.
//!
//! * Configuration: `settings`, from `protocol`, `endpoint`, `user_info`, `headers`, `tls` and
//!   `signal_var`. `setting_names` tells where they come from.
//! * Transport: `transport`, from `grpc_client` and `http_client`, over `tcp` or through a `proxy`.
//! * Delivery: `exporter` makes a `request` of the SDK's data, and `delivery` sends it until the
//!   receiver has accepted it. `attempt` says what a failure means, with `google_rpc` and `probe`.

mod attempt;
mod backoff;
mod delivery;
pub(crate) mod endpoint;
mod exporter;
mod google_rpc;
mod grpc_client;
pub(crate) mod headers;
#[cfg(feature = "http")]
mod http_answer;
#[cfg(feature = "http")]
mod http_client;
mod probe;
pub(crate) mod protocol;
#[cfg_attr(not(feature = "proxy"), path = "no_proxy.rs")]
mod proxy;
mod proxy_variable;
mod request;
mod setting_names;
pub(crate) mod settings;
mod signal_var;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
mod tls {
    use crate::error::InitError;

    /// No TLS settings exist without the Cargo feature `tls`.
    #[derive(Debug)]
    pub(super) enum Tls {}

    impl Tls {
        pub(super) fn renewed(&self) -> Result<Option<Self>, InitError> {
            match *self {}
        }
    }
}
mod transport;
mod unique_points;
mod unique_scopes;
mod uri;
pub(crate) mod user_info;
mod words;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader, Temporality};
use opentelemetry_sdk::trace::SpanData;

use self::delivery::Delivery;
use self::exporter::OtlpExporter;
use self::probe::Probe;
pub use self::protocol::Protocol;
use self::setting_names::SettingNames;
use self::settings::{Options, Settings};
use self::transport::Transport;
use crate::batch::{BatchProcessor, LogItem};
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
    /// The reader of metrics, which the zPages share.
    #[cfg(feature = "zpages")]
    pub(crate) reader: Option<Arc<dyn opentelemetry_sdk::metrics::reader::MetricReader>>,
}

/// Checks the settings of an exporter, and returns its endpoint for people.
#[cfg(feature = "config-file")]
pub(crate) fn checked_endpoint(signal: Signal, env: &Env) -> Result<String, InitError> {
    let settings = Settings::resolve(signal, &Options::default(), env)?;
    let protocol = if settings.protocol == Protocol::Grpc {
        "gRPC"
    } else {
        "HTTP"
    };
    Ok(format!("{} over {protocol}", user_info::redacted(&settings.endpoint)))
}

impl Otlp {
    /// Returns a processor with the exporter of spans.
    pub(crate) fn spans(&mut self, env: &Env) -> Result<BatchProcessor<SpanData>, InitError> {
        let (exporter, stats) = self.exporter(Signal::Traces, env, Temporality::Cumulative)?;
        BatchProcessor::spans(exporter, stats, env)
    }

    /// Adds the exporter of metrics.
    pub(crate) fn metrics(
        &mut self,
        provider: MeterProviderBuilder,
        interval: Duration,
        env: &Env,
    ) -> Result<MeterProviderBuilder, InitError> {
        let temporality = settings::temporality(env);
        let (exporter, _) = self.exporter(Signal::Metrics, env, temporality)?;
        let reader = PeriodicReader::builder(exporter).with_interval(interval).build();
        #[cfg(feature = "zpages")]
        if temporality == Temporality::Cumulative {
            self.reader = Some(Arc::new(reader.clone()));
        }
        Ok(provider.with_reader(reader))
    }

    /// Returns a processor with the exporter of log records.
    pub(crate) fn logs(&mut self, env: &Env) -> Result<BatchProcessor<LogItem>, InitError> {
        let (exporter, stats) = self.exporter(Signal::Logs, env, Temporality::Cumulative)?;
        BatchProcessor::logs(exporter, stats, env)
    }

    /// Builds an exporter with its statistics. Only metrics have a temporality.
    fn exporter(
        &mut self,
        signal: Signal,
        env: &Env,
        temporality: Temporality,
    ) -> Result<(OtlpExporter, Arc<ExportStats>), InitError> {
        let settings = Settings::resolve(signal, &self.options, env)?;
        let runtime = self.runtime()?;
        let stats = Arc::new(ExportStats::new(signal, user_info::redacted(&settings.endpoint)));
        self.export_stats.push(Arc::clone(&stats));
        let probe = Probe {
            settings: SettingNames::new(signal, &self.options, env),
            endpoint: settings.endpoint.clone(),
            protocol: settings.protocol,
            is_direct: settings.proxy.is_none(),
        };
        let timeout = settings.timeout;
        let transport = runtime.enter(|| Transport::new(signal, settings))?;
        let delivery = Delivery::new(transport, probe, timeout, Arc::clone(&stats));
        Ok((OtlpExporter::new(runtime, delivery, temporality), stats))
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
