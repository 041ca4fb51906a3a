//! The configuration of telemetry in code.

mod subscriber;

use std::fmt;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::logs::LoggerProviderBuilder;
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::trace::{ShouldSample, TracerProviderBuilder};
use otel_runtime::propagation;

#[cfg(feature = "console")]
use crate::console::ConsolePipeline;
use crate::exporter::Exporter;
use crate::guarded_traces::GuardedSampler;
#[cfg(feature = "otlp")]
use crate::otlp::Protocol;
use crate::subscriber::StdoutLogs;

/// Configures and sets up traces, metrics and logs. Create one with [`builder`](crate::builder).
///
/// Settings made here take precedence over environment variables.
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
    pub(crate) span_directives: Option<String>,
    pub(crate) without_span_fields: bool,
    pub(crate) without_subscriber: bool,
    #[cfg(feature = "otlp")]
    pub(crate) otlp: crate::otlp::Otlp,
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus: crate::prometheus::Prometheus,
    #[cfg(feature = "zpages")]
    pub(crate) zpages: crate::zpages::Zpages,
    pub(crate) sampler: Option<Box<dyn ShouldSample>>,
    pub(crate) metric_export_interval: Option<Duration>,
    /// Sets the global propagator. A function, since a propagator of unknown type could not be told
    /// from one that the layers know.
    pub(crate) set_propagator: Option<Box<dyn FnOnce() + Send + Sync>>,
    pub(crate) configure_tracer_provider: Option<Box<dyn FnOnce(TracerProviderBuilder) -> TracerProviderBuilder>>,
    pub(crate) configure_meter_provider: Option<Box<dyn FnOnce(MeterProviderBuilder) -> MeterProviderBuilder>>,
    pub(crate) configure_logger_provider: Option<Box<dyn FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder>>,
}

impl Builder {
    /// Sets `service.name`, the name of the service.
    ///
    /// The default is `OTEL_SERVICE_NAME`, then `service.name` in `OTEL_RESOURCE_ATTRIBUTES`, then
    /// `unknown_service:` with the name of the program.
    pub fn service_name(self, name: impl Into<Value>) -> Self {
        self.resource_attribute(KeyValue::new("service.name", name))
    }

    /// Sets `service.version`, usually to `env!("CARGO_PKG_VERSION")`.
    pub fn service_version(self, version: impl Into<Value>) -> Self {
        self.resource_attribute(KeyValue::new("service.version", version))
    }

    /// Sets `service.namespace`, the name of a group of services. Service names are unique within
    /// it.
    pub fn service_namespace(self, namespace: impl Into<Value>) -> Self {
        self.resource_attribute(KeyValue::new("service.namespace", namespace))
    }

    /// Sets `service.instance.id`, which distinguishes the instances of a service. The default is a
    /// random UUID.
    pub fn service_instance_id(self, id: impl Into<Value>) -> Self {
        self.resource_attribute(KeyValue::new("service.instance.id", id))
    }

    /// Adds an attribute of the [resource](https://opentelemetry.io/docs/specs/semconv/resource/),
    /// which describes the service in all signals.
    pub fn resource_attribute(mut self, attribute: KeyValue) -> Self {
        self.resource_attributes.push(attribute);
        self
    }

    /// Sets the exporters of spans. An empty list exports none. The default is
    /// `OTEL_TRACES_EXPORTER`.
    pub fn trace_exporters(mut self, exporters: impl IntoIterator<Item = Exporter>) -> Self {
        self.trace_exporters = Some(exporters.into_iter().collect());
        self
    }

    /// Sets the exporters of metrics. An empty list exports none. The default is
    /// `OTEL_METRICS_EXPORTER`.
    pub fn metric_exporters(mut self, exporters: impl IntoIterator<Item = Exporter>) -> Self {
        self.metric_exporters = Some(exporters.into_iter().collect());
        self
    }

    /// Sets the exporters of log records. An empty list exports none. The default is
    /// `OTEL_LOGS_EXPORTER`.
    pub fn log_exporters(mut self, exporters: impl IntoIterator<Item = Exporter>) -> Self {
        self.log_exporters = Some(exporters.into_iter().collect());
        self
    }

    /// Sets the address of the scrape endpoint `/metrics` of [`Exporter::Prometheus`].
    ///
    /// Port 0 chooses a free port, which
    /// [`Telemetry::prometheus_address`](crate::Telemetry::prometheus_address) returns. The default
    /// is `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT`, then `localhost` and
    /// 9464.
    ///
    /// The chapter [Prometheus](crate::docs::prometheus) explains names, formats and exemplars.
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

    /// Sets how [`Exporter::Prometheus`] translates names. By default, names have underscores and
    /// suffixes.
    ///
    /// ```
    /// use otel_setup::TranslationStrategy;
    ///
    /// // `rpc.server.call.duration_seconds`, for a Prometheus 3.
    /// let builder = otel_setup::builder()
    ///     .prometheus_translation_strategy(TranslationStrategy::NoUtf8EscapingWithSuffixes);
    /// # drop(builder);
    /// ```
    #[cfg(feature = "prometheus")]
    pub fn prometheus_translation_strategy(mut self, strategy: crate::TranslationStrategy) -> Self {
        self.prometheus.translation_strategy = strategy;
        self
    }

    /// Makes the exporters [`console`](Exporter::Console) write [JSON](crate::console#json) instead
    /// of text.
    #[cfg(feature = "console")]
    pub fn console_json(mut self) -> Self {
        self.console.json = true;
        self
    }

    /// Sets the endpoint of the exporters [`otlp`](Exporter::Otlp), such as
    /// `http://collector:4317`.
    ///
    /// Over HTTP, `/v1/traces`, `/v1/metrics` or `/v1/logs` is appended. The default is the
    /// signal's variable, such as `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, then
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, then the [protocol's](Protocol) port on `localhost`.
    ///
    /// ```
    /// use otel_setup::Protocol;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let telemetry = otel_setup::builder()
    ///     .otlp_endpoint("http://localhost:4318")
    ///     .otlp_protocol(Protocol::HttpProtobuf)
    ///     .otlp_header("api-key", "secret")
    ///     .init()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "otlp")]
    pub fn otlp_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.otlp.options.endpoint = Some(endpoint.into());
        self
    }

    /// Sets the protocol of the exporters `otlp`.
    ///
    /// The default is the signal's variable, then `OTEL_EXPORTER_OTLP_PROTOCOL`, then
    /// [`Protocol::Grpc`].
    #[cfg(feature = "otlp")]
    pub fn otlp_protocol(mut self, protocol: Protocol) -> Self {
        self.otlp.options.protocol = Some(protocol);
        self
    }

    /// Adds a header to every request of the exporters `otlp`, such as an API key. Headers of the
    /// same name in `OTEL_EXPORTER_OTLP_HEADERS` are replaced.
    #[cfg(feature = "otlp")]
    pub fn otlp_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.otlp.options.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the sampler. The default is `OTEL_TRACES_SAMPLER`, then `parentbased_always_on`,
    /// which follows the decision of the parent and samples all root spans. If it panics, the span
    /// follows its parent's decision, and is not sampled without a parent.
    pub fn sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Some(Box::new(GuardedSampler(Box::new(sampler))));
        self
    }

    /// Sets the time between two exports of metrics. The default is `OTEL_METRIC_EXPORT_INTERVAL`,
    /// then one minute.
    pub fn metric_export_interval(mut self, interval: Duration) -> Self {
        self.metric_export_interval = Some(interval);
        self
    }

    /// Sets the global propagator. [`otel_runtime::propagation`] has several.
    ///
    /// The default is `OTEL_PROPAGATORS`, then W3C Trace Context and Baggage.
    ///
    /// ```
    /// use otel_runtime::propagation;
    ///
    /// let builder = otel_setup::builder().propagator(propagation::from_names("gcp,tracecontext,baggage"));
    /// # drop(builder);
    /// ```
    pub fn propagator(mut self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.set_propagator = Some(Box::new(move || propagation::set_global(propagator)));
        self
    }

    /// Configures the tracer provider further: span processors, other exporters, an id generator.
    ///
    /// The closure runs last, so it can override everything else. Processors that it adds get spans
    /// as they were recorded: an attribute that was set twice is in them twice. The exporters
    /// `otlp` and `console` export the last of the kept values only. As such processors rely on the
    /// limits of a span, the SDK applies them, and [counts such an attribute
    /// twice](crate::docs::setup#attributes-that-are-set-twice).
    pub fn configure_tracer_provider(
        mut self,
        configure: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder + 'static,
    ) -> Self {
        self.configure_tracer_provider = Some(Box::new(configure));
        self
    }

    /// Configures the meter provider further: views, readers. The closure runs last.
    pub fn configure_meter_provider(
        mut self,
        configure: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder + 'static,
    ) -> Self {
        self.configure_meter_provider = Some(Box::new(configure));
        self
    }

    /// Configures the logger provider further: log processors, other exporters. The closure runs
    /// last.
    pub fn configure_logger_provider(
        mut self,
        configure: impl FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder + 'static,
    ) -> Self {
        self.configure_logger_provider = Some(Box::new(configure));
        self
    }
}

/// Returns whether zPages are served, which need all providers.
#[cfg_attr(not(feature = "zpages"), allow(unused_variables))]
pub(crate) fn has_zpages(builder: &Builder) -> bool {
    #[cfg(feature = "zpages")]
    return builder.zpages.is_wanted();
    #[cfg(not(feature = "zpages"))]
    false
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
