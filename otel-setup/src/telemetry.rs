//! The handle of what has been set up.

#[cfg(feature = "prometheus")]
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::error::ShutdownError;
use crate::providers::Providers;
use crate::shutdown::run_blocking;
use crate::subscriber::Layers;

/// How long dropping waits.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// Telemetry that has been set up, to be kept as long as the service runs.
///
/// Dropping it sends out what is still there, and waits for that up to five seconds; [`shutdown`](Self::shutdown) says how it went.
#[must_use = "telemetry ends when this is dropped"]
#[derive(Debug)]
pub struct Telemetry {
    pub(crate) providers: Arc<Providers>,
    pub(crate) layers: Layers,
}

impl Telemetry {
    /// Where Prometheus can scrape this service, at `/metrics`: `None` where metrics do not go to [`Exporter::Prometheus`](crate::Exporter::Prometheus).
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn prometheus_address(&self) -> Option<SocketAddr> {
        self.providers.prometheus_address
    }
}

impl Telemetry {
    /// Sends out what is still there, and ends. What is recorded after that is lost.
    ///
    /// It can be called as often as one likes: there is one shutdown, and each call tells how that went.
    ///
    /// # Errors
    ///
    /// Where not everything that was ever recorded has arrived, or it is not known to have within `limit`, which is never exceeded. The error says how much that is, and why.
    ///
    /// ```
    /// # use otel_setup::Signal;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let telemetry = otel_setup::builder()
    /// #    .trace_exporters([]).metric_exporters([]).log_exporters([])
    ///     .init()?;
    /// // …
    /// if let Err(error) = telemetry.shutdown(Duration::from_secs(5)).await {
    ///     eprintln!("{error}; of spans it is {}", error.lost(Signal::Traces));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self, limit: Duration) -> Result<(), ShutdownError> {
        let providers = Arc::clone(&self.providers);
        run_blocking(move || providers.shut_down(limit)).await
    }

    /// Sends out what is there now.
    ///
    /// # Errors
    ///
    /// Where something could not be sent, or not within `limit`, which is never exceeded. What had been lost before is [`shutdown`](Self::shutdown)'s to tell.
    pub async fn flush(&self, limit: Duration) -> Result<(), ShutdownError> {
        let providers = Arc::clone(&self.providers);
        run_blocking(move || providers.flush(limit)).await
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if self.providers.is_shut_down() {
            return;
        }
        if let Err(error) = self.providers.shut_down(DROP_TIMEOUT) {
            tracing::error!(target: "otel_setup", "{error}");
        }
    }
}

/// # Layers for a subscriber of your own
///
/// For programs that have set up [`without_subscriber`](crate::Builder::without_subscriber). Each layer has its filters, by [`RUST_LOG`](crate::Builder::init), so they go with any others;
/// one that has nothing to do, since its signal goes nowhere, does nothing. Of each there should be one.
///
/// ```no_run
/// use tracing_subscriber::{Layer, filter::LevelFilter, fmt, prelude::*};
///
/// let telemetry = otel_setup::builder().without_subscriber().init()?;
/// tracing_subscriber::registry()
///     .with(telemetry.logs_layer())
///     .with(telemetry.spans_layer())
///     .with(telemetry.stdout_layer())
///     // …and what this is about:
///     .with(fmt::layer().with_writer(std::io::stderr).with_filter(LevelFilter::ERROR))
///     .init();
/// # Ok::<(), otel_setup::InitError>(())
/// ```
impl Telemetry {
    /// Makes log records of `tracing`'s events, those that `RUST_LOG` lets through, for [where logs go](crate::Builder::log_exporters).
    ///
    /// A record has the ids of the current OpenTelemetry span: in a handler, and in its response stream, of the RPC's. The message is its body, the fields are its attributes.
    /// What happens where telemetry is [suppressed](opentelemetry::Context::is_current_telemetry_suppressed), in an exporter, leaves no record.
    #[must_use = "a layer does nothing before it is part of a subscriber"]
    pub fn logs_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.layers.logs()
    }

    /// Makes OpenTelemetry's spans of `tracing`'s, those that `#[instrument]` makes, say, for [where traces go](crate::Builder::trace_exporters).
    ///
    /// They are children of the current OpenTelemetry span: in a handler of the RPC's. They are there from the level INFO on, and below that where `RUST_LOG` enables them; `RUST_LOG=warn` does not take them out of
    /// traces. Beside their fields they have `code.file.path`, `code.line.number` and `code.module.name`. Events are log records, not events of spans. What happens where telemetry is suppressed leaves no span.
    #[must_use = "a layer does nothing before it is part of a subscriber"]
    pub fn spans_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.layers.spans()
    }

    /// Writes `tracing`'s events, those that `RUST_LOG` lets through, to stdout, [as the program says](crate::Builder::stdout_logs).
    #[must_use = "a layer does nothing before it is part of a subscriber"]
    pub fn stdout_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.layers.lines()
    }
}
