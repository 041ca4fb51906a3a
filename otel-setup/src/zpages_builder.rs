//! The settings of the pages in code, and their steps of the setup.

use std::net::SocketAddr;
use std::sync::Arc;

use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::metrics::reader::MetricReader;

use crate::builder::Builder;
use crate::env::Env;
use crate::error::InitError;
use crate::telemetry::Telemetry;
use crate::zpages::Served;

impl Builder {
    /// Serves the [zPages](crate::docs::zpages) at this address: `/debug/tracez`, which shows the
    /// spans that run now, and `/debug/rpcz`.
    ///
    /// Port 0 chooses a free port, which
    /// [`Telemetry::zpages_address`](crate::Telemetry::zpages_address) returns. The default is
    /// `OTEL_RUST_ZPAGES_ADDRESS`; without it there are no pages. If it is the address of the
    /// scrape endpoint, one server has both.
    ///
    /// The pages show attributes and log lines to everyone who reaches them, without encryption or
    /// authentication. An address that is not a loopback one causes a warning.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let telemetry = otel_setup::builder()
    ///     .zpages_address("127.0.0.1:0".parse()?)
    ///     # .trace_exporters([])
    ///     # .metric_exporters([])
    ///     # .log_exporters([])
    ///     .init()?;
    /// // None with `OTEL_SDK_DISABLED=true`.
    /// if let Some(address) = telemetry.zpages_address() {
    ///     println!("http://{address}/debug/tracez");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn zpages_address(mut self, address: SocketAddr) -> Self {
        self.zpages.options.address = Some(address);
        self
    }

    /// Sets the limit of the memory that the zPages take for running spans, samples, counts and
    /// durations, in bytes.
    ///
    /// The default is `OTEL_RUST_ZPAGES_MEMORY_LIMIT`, then 2 MiB. Less than 64 KiB counts as
    /// 64 KiB.
    pub fn zpages_memory_limit(mut self, bytes: usize) -> Self {
        self.zpages.options.memory_limit = Some(bytes);
        self
    }

    /// Answers requests for the zPages that name this host, such as `greeter.example`. The port is
    /// of no interest.
    ///
    /// Other requests are answered only if their header `Host` is an IP address, `localhost` or a
    /// name below it. Otherwise a web page of a stranger could read them by [DNS
    /// rebinding](https://en.wikipedia.org/wiki/DNS_rebinding).
    pub fn zpages_allowed_host(mut self, host: impl Into<String>) -> Self {
        self.zpages.options.allowed_hosts.push(host.into());
        self
    }

    /// Adds a reader of metrics for the pages, or shares that of an exporter.
    pub(crate) fn add_zpages_reader(&mut self, provider: MeterProviderBuilder) -> MeterProviderBuilder {
        let shared: Option<Arc<dyn MetricReader>> = self.console.reader.take();
        #[cfg(feature = "otlp")]
        let shared = self.otlp.reader.take().or(shared);
        #[cfg(feature = "prometheus")]
        let shared = self.prometheus.reader.take().or(shared);
        self.zpages.add_reader(provider, shared)
    }

    pub(crate) fn serve_zpages(&mut self, env: &Env) -> Result<Option<Served>, InitError> {
        #[cfg(feature = "prometheus")]
        let scrapes = self.prometheus.endpoint.as_ref();
        #[cfg(not(feature = "prometheus"))]
        let scrapes = None;
        self.zpages.serve(scrapes, env)
    }
}

impl Telemetry {
    /// Returns the address of the [zPages](crate::docs::zpages), or `None` if there are none.
    #[must_use]
    pub fn zpages_address(&self) -> Option<SocketAddr> {
        self.providers.zpages_address
    }
}
