//! The handle that the program holds while the service runs.

#[cfg(feature = "prometheus")]
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::error::ShutdownError;
use crate::panic_guard::SUBSCRIBER;
use crate::providers::Providers;
use crate::shutdown::run_blocking;
use crate::subscriber::Layers;

/// The timeout of the shutdown in `drop`.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle to the telemetry of this process. Hold it as long as the service runs.
///
/// Dropping it exports the remaining telemetry, with a timeout of five seconds.
/// [`shutdown`](Self::shutdown) also reports losses.
#[must_use = "telemetry ends when this is dropped"]
#[derive(Debug)]
pub struct Telemetry {
    pub(crate) providers: Arc<Providers>,
    pub(crate) layers: Layers,
}

impl Telemetry {
    /// Exports the remaining telemetry and shuts all exporters down. Telemetry recorded later is
    /// lost.
    ///
    /// The shutdown happens once. Further calls wait for it and return its result.
    ///
    /// # Errors
    ///
    /// If any telemetry recorded since the setup was not delivered, or if the delivery was not
    /// confirmed within `timeout`. Spans that have not ended are lost, too. The error contains the
    /// counts and the reasons.
    ///
    /// An exporter `otlp` whose receiver is away tries again as long as `timeout` allows. The call
    /// never takes longer.
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
    ///     eprintln!("{error} ({} spans)", error.lost(Signal::Traces));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self, timeout: Duration) -> Result<(), ShutdownError> {
        let providers = Arc::clone(&self.providers);
        run_blocking(move || providers.shut_down(timeout)).await
    }

    /// Exports the telemetry recorded so far.
    ///
    /// Once a [`shutdown`](Self::shutdown) has begun, waits for that and returns its result.
    ///
    /// # Errors
    ///
    /// If an export failed, or did not finish within `timeout`. Earlier losses are reported by
    /// [`shutdown`](Self::shutdown) only. The call never takes longer than `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<(), ShutdownError> {
        let providers = Arc::clone(&self.providers);
        run_blocking(move || providers.flush(timeout)).await
    }

    /// Returns the address of the scrape endpoint `/metrics`.
    ///
    /// If metrics are not exported to [`Exporter::Prometheus`](crate::Exporter::Prometheus),
    /// returns `None`.
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn prometheus_address(&self) -> Option<SocketAddr> {
        self.providers.prometheus_address
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if self.providers.is_shut_down() {
            return;
        }
        if let Err(error) = self.providers.shut_down(DROP_TIMEOUT) {
            // A panic here would abort the process if it is unwinding.
            SUBSCRIBER.run(|| tracing::error!(target: "otel_setup", "{error}"));
        }
    }
}

/// # Layers for a subscriber of your own
///
/// For programs that set up telemetry [without a subscriber](crate::Builder::without_subscriber).
/// Add each layer at most once: another one records nothing, which is reported on stderr. Every
/// layer has its own filters, which follow [`RUST_LOG`](crate::Builder::init), so other layers may
/// have different ones. The layer of a signal without an exporter does nothing.
///
/// ```no_run
/// use tracing_subscriber::{Layer, filter::LevelFilter, fmt, prelude::*};
///
/// let telemetry = otel_setup::builder().without_subscriber().init()?;
/// tracing_subscriber::registry()
///     .with(telemetry.logs_layer())
///     .with(telemetry.spans_layer())
///     .with(telemetry.stdout_layer())
///     // A layer of your own:
///     .with(fmt::layer().with_writer(std::io::stderr).with_filter(LevelFilter::ERROR))
///     .init();
/// # Ok::<(), otel_setup::InitError>(())
/// ```
///
/// ## Changes at run time
///
/// To change what a layer records while the program runs, put a filter into a `reload::Layer`, and
/// that around the layer. It restricts what `RUST_LOG` selects:
///
/// ```
/// use tracing_subscriber::{Layer, filter::LevelFilter, prelude::*, reload};
///
/// let telemetry = otel_setup::builder()
/// #    .trace_exporters([]).metric_exporters([]).log_exporters([])
///     .without_subscriber()
///     .init()?;
/// let (level, handle) = reload::Layer::new(LevelFilter::INFO);
/// tracing_subscriber::registry().with(telemetry.logs_layer().with_filter(level)).init();
/// // Later:
/// handle.reload(LevelFilter::ERROR)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The layer itself must be part of the subscriber when that is built: a `reload::Layer` cannot get
/// it later ([tokio-rs/tracing#1629]). Such a layer records nothing, which is reported on stderr,
/// and its next event panics in debug builds.
///
/// [tokio-rs/tracing#1629]: https://github.com/tokio-rs/tracing/issues/1629
impl Telemetry {
    /// Returns a layer that turns `tracing` events into log records for the
    /// [log exporters](crate::Builder::log_exporters). `RUST_LOG` filters the events.
    ///
    /// The message becomes the body, and the fields of the event and of enclosing `tracing` spans
    /// become attributes. The record has the ids of the current OpenTelemetry span: in a handler
    /// and in its response stream, the RPC's span. While telemetry is
    /// [suppressed](opentelemetry::Context::is_current_telemetry_suppressed), as in an exporter,
    /// events are dropped.
    #[must_use = "a layer does nothing before it is part of a subscriber"]
    pub fn logs_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.layers.logs()
    }

    /// Returns a layer that turns `tracing` spans, such as those of `#[instrument]`, into
    /// OpenTelemetry spans for the [trace exporters](crate::Builder::trace_exporters).
    ///
    /// The parent is the current OpenTelemetry span: in a handler, the RPC's span. Besides their
    /// fields, spans have the attributes `code.file.path`, `code.line.number` and
    /// `code.module.name`. Events become log records, not span events. While telemetry is
    /// suppressed, spans are dropped.
    ///
    /// Spans of level INFO and above are exported, or those that
    /// [`span_directives`](crate::Builder::span_directives) selects. `RUST_LOG` has no effect on
    /// them.
    #[must_use = "a layer does nothing before it is part of a subscriber"]
    pub fn spans_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.layers.spans()
    }

    /// Returns a layer that writes `tracing` events to stdout, as [`StdoutLogs`](crate::StdoutLogs)
    /// describes. `RUST_LOG` filters the events.
    #[must_use = "a layer does nothing before it is part of a subscriber"]
    pub fn stdout_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.layers.stdout()
    }
}
