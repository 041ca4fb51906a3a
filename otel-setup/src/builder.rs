//! What a program says of its telemetry.

use std::fmt;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::logs::LoggerProviderBuilder;
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::trace::{ShouldSample, TracerProviderBuilder};

#[cfg(feature = "console")]
use crate::console::ConsolePipeline;
use crate::exporter::Exporter;
#[cfg(feature = "otlp")]
use crate::otlp::Protocol;
use crate::subscriber::StdoutLogs;

/// Sets up traces, metrics and logs: [`builder`](crate::builder) makes one.
///
/// What is said here wins over what the environment says.
#[must_use = "nothing is set up before `init`"]
#[derive(Default)]
pub struct Builder {
    pub(crate) resource_attributes: Vec<KeyValue>,
    pub(crate) trace_exporters: Option<Vec<Exporter>>,
    pub(crate) metric_exporters: Option<Vec<Exporter>>,
    pub(crate) log_exporters: Option<Vec<Exporter>>,
    #[cfg(feature = "console")]
    pub(crate) console: ConsolePipeline,
    pub(crate) stdout_logs: Option<StdoutLogs>,
    pub(crate) without_subscriber: bool,
    #[cfg(feature = "otlp")]
    pub(crate) otlp: crate::otlp::Otlp,
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus: crate::prometheus::Prometheus,
    pub(crate) sampler: Option<Box<dyn ShouldSample>>,
    pub(crate) metric_export_interval: Option<Duration>,
    pub(crate) propagator: Option<Box<dyn TextMapPropagator + Send + Sync>>,
    pub(crate) configure_tracer_provider: Option<Box<dyn FnOnce(TracerProviderBuilder) -> TracerProviderBuilder>>,
    pub(crate) configure_meter_provider: Option<Box<dyn FnOnce(MeterProviderBuilder) -> MeterProviderBuilder>>,
    pub(crate) configure_logger_provider: Option<Box<dyn FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder>>,
}

impl Builder {
    /// `service.name`: what the service is called. By default `OTEL_SERVICE_NAME`, else `service.name` in `OTEL_RESOURCE_ATTRIBUTES`, else `unknown_service:` and the program's name.
    pub fn service_name(self, name: impl Into<Value>) -> Self {
        self.resource_attribute(KeyValue::new("service.name", name))
    }

    /// `service.version`: mostly `env!("CARGO_PKG_VERSION")`.
    pub fn service_version(self, version: impl Into<Value>) -> Self {
        self.resource_attribute(KeyValue::new("service.version", version))
    }

    /// `service.namespace`: what the services of one group have in common, whose names are unique in it.
    pub fn service_namespace(self, namespace: impl Into<Value>) -> Self {
        self.resource_attribute(KeyValue::new("service.namespace", namespace))
    }

    /// `service.instance.id`: which of the running copies this is. By default a random UUID.
    pub fn service_instance_id(self, id: impl Into<Value>) -> Self {
        self.resource_attribute(KeyValue::new("service.instance.id", id))
    }

    /// Any other attribute of the [resource](https://opentelemetry.io/docs/specs/semconv/resource/): what describes the service as a whole.
    pub fn resource_attribute(mut self, attribute: KeyValue) -> Self {
        self.resource_attributes.push(attribute);
        self
    }

    /// Where spans go: nowhere, where the list is empty. By default `OTEL_TRACES_EXPORTER`.
    pub fn trace_exporters(mut self, exporters: impl IntoIterator<Item = Exporter>) -> Self {
        self.trace_exporters = Some(exporters.into_iter().collect());
        self
    }

    /// Where metrics go: nowhere, where the list is empty. By default `OTEL_METRICS_EXPORTER`.
    pub fn metric_exporters(mut self, exporters: impl IntoIterator<Item = Exporter>) -> Self {
        self.metric_exporters = Some(exporters.into_iter().collect());
        self
    }

    /// Where log records go: nowhere, where the list is empty. By default `OTEL_LOGS_EXPORTER`.
    pub fn log_exporters(mut self, exporters: impl IntoIterator<Item = Exporter>) -> Self {
        self.log_exporters = Some(exporters.into_iter().collect());
        self
    }

    /// Where Prometheus is to scrape this service, where metrics go to [`Exporter::Prometheus`], at `/metrics`; port 0 is a free one, which
    /// [`Telemetry::prometheus_address`](crate::Telemetry::prometheus_address) tells. By default `OTEL_EXPORTER_PROMETHEUS_HOST`, else `localhost`, and `OTEL_EXPORTER_PROMETHEUS_PORT`, else 9464.
    ///
    /// SignalVar and text are those of the crate [`opentelemetry-prometheus`](https://docs.rs/opentelemetry-prometheus): `rpc.server.call.duration` is `rpc_server_call_duration_seconds` there.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use otel_setup::Exporter;
    ///
    /// let telemetry = otel_setup::builder()
    ///     .metric_exporters([Exporter::Prometheus])
    ///     .prometheus_address("127.0.0.1:0".parse()?)
    ///     # .trace_exporters([])
    ///     # .log_exporters([])
    ///     .init()?;
    /// let address = telemetry.prometheus_address().expect("metrics go to Prometheus");
    /// println!("curl http://{address}/metrics");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "prometheus")]
    pub fn prometheus_address(mut self, address: std::net::SocketAddr) -> Self {
        self.prometheus.address = Some(address);
        self
    }

    /// The console's exporters write [JSON](crate::console#json), one object a line, not what people read.
    #[cfg(feature = "console")]
    pub fn console_json(mut self) -> Self {
        self.console.json = true;
        self
    }

    /// How `tracing`'s events are written to stdout, beside where [`log_exporters`](Self::log_exporters) go. By default [for people](StdoutLogs::Pretty), and not at all where the console's exporter writes them there.
    pub fn stdout_logs(mut self, lines: StdoutLogs) -> Self {
        self.stdout_logs = Some(lines);
        self
    }

    /// The program sets a `tracing` subscriber of its own, [of these layers](crate::Telemetry#layers-for-a-subscriber-of-your-own) and others. Otherwise that is done here.
    pub fn without_subscriber(mut self) -> Self {
        self.without_subscriber = true;
        self
    }

    /// Where the exporter [`otlp`](Exporter::Otlp) sends all signals: `http://collector:4317`, say; over HTTP, `/v1/traces`, `/v1/metrics` and `/v1/logs` are appended. By default `OTEL_EXPORTER_OTLP_ENDPOINT`, or a signal's own, else a
    /// [collector on this host](Protocol).
    ///
    /// ```
    /// use otel_setup::Protocol;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let telemetry = otel_setup::builder()
    ///     .otlp_endpoint("http://localhost:4318")
    ///     .otlp_protocol(Protocol::HttpProtobuf)
    ///     .otlp_header("api-key", "of the receiver")
    ///     .init()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "otlp")]
    pub fn otlp_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.otlp.options.endpoint = Some(endpoint.into());
        self
    }

    /// How the exporter `otlp` sends all signals. By default `OTEL_EXPORTER_OTLP_PROTOCOL`, or a signal's own, else [`Protocol::Grpc`].
    #[cfg(feature = "otlp")]
    pub fn otlp_protocol(mut self, protocol: Protocol) -> Self {
        self.otlp.options.protocol = Some(protocol);
        self
    }

    /// A header that goes with everything that the exporter `otlp` sends, over those of `OTEL_EXPORTER_OTLP_HEADERS`: a key for whoever receives it, say.
    #[cfg(feature = "otlp")]
    pub fn otlp_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.otlp.options.headers.push((name.into(), value.into()));
        self
    }

    /// Which traces are recorded. By default `OTEL_TRACES_SAMPLER`, else all, where the caller does not say otherwise.
    pub fn sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// How often metrics are exported. By default `OTEL_METRIC_EXPORT_INTERVAL`, else every minute.
    pub fn metric_export_interval(mut self, interval: Duration) -> Self {
        self.metric_export_interval = Some(interval);
        self
    }

    /// How the context travels between services. By default what `OTEL_PROPAGATORS` says, else W3C's trace context and baggage: see [`propagation`](otel_runtime::propagation).
    ///
    /// ```
    /// use otel_runtime::propagation;
    ///
    /// let builder = otel_setup::builder().propagator(propagation::from_names("gcp,tracecontext,baggage"));
    /// # drop(builder);
    /// ```
    pub fn propagator(mut self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.propagator = Some(Box::new(propagator));
        self
    }

    /// What else the tracer provider is to have: span processors and exporters of your own, an id generator. It comes last, so it has the last word.
    pub fn configure_tracer_provider(
        mut self,
        configure: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder + 'static,
    ) -> Self {
        self.configure_tracer_provider = Some(Box::new(configure));
        self
    }

    /// What else the meter provider is to have: views, and readers of your own.
    pub fn configure_meter_provider(
        mut self,
        configure: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder + 'static,
    ) -> Self {
        self.configure_meter_provider = Some(Box::new(configure));
        self
    }

    /// What else the logger provider is to have: processors and exporters of your own.
    pub fn configure_logger_provider(
        mut self,
        configure: impl FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder + 'static,
    ) -> Self {
        self.configure_logger_provider = Some(Box::new(configure));
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("resource_attributes", &self.resource_attributes)
            .field("trace_exporters", &self.trace_exporters)
            .field("metric_exporters", &self.metric_exporters)
            .field("log_exporters", &self.log_exporters)
            .finish_non_exhaustive()
    }
}
