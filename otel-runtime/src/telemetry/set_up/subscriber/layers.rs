//! The layers of the subscriber, one for each thing that becomes of events and spans.

use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::super::Telemetry;
use super::records::Loggers;
use super::{Directives, LogLines};

/// What the layers are made of.
#[derive(Debug)]
pub(in super::super) struct Layers {
    pub(in super::super) tracers: Option<SdkTracerProvider>,
    pub(in super::super) loggers: Option<SdkLoggerProvider>,
    pub(in super::super) directives: Directives,
    pub(in super::super) lines: LogLines,
}

impl Layers {
    pub(super) fn logs<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.loggers.clone().map(|loggers| {
            let bridge = OpenTelemetryTracingBridge::new(&Loggers(loggers));
            bridge.with_filter(self.directives.of_events())
        })
    }

    pub(super) fn spans<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.tracers.as_ref().map(|tracers| {
            tracing_opentelemetry::layer()
                .with_tracer(tracers.tracer("tracing"))
                // What a span does not say itself is where it stands in the code, and no more.
                .with_target(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_filter(self.directives.of_spans())
        })
    }

    pub(super) fn lines<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        let lines = self.lines.layer();
        lines.map(|lines| lines.with_filter(self.directives.of_events()))
    }
}

/// # Layers for a subscriber of your own
///
/// For programs that have set up [`without_subscriber`](super::super::Builder::without_subscriber). Each layer has its filters, by [`RUST_LOG`](super::super::Builder::init), so they go with any others;
/// one that has nothing to do, since its signal goes nowhere, does nothing. Of each there should be one.
///
/// ```no_run
/// use otel_runtime::telemetry;
/// use tracing_subscriber::{Layer, filter::LevelFilter, fmt, prelude::*};
///
/// let telemetry = telemetry::builder().without_subscriber().init()?;
/// tracing_subscriber::registry()
///     .with(telemetry.logs_layer())
///     .with(telemetry.spans_layer())
///     .with(telemetry.lines_layer())
///     // …and what this is about:
///     .with(fmt::layer().with_writer(std::io::stderr).with_filter(LevelFilter::ERROR))
///     .init();
/// # Ok::<(), telemetry::InitError>(())
/// ```
impl Telemetry {
    /// Makes log records of `tracing`'s events, those that `RUST_LOG` lets through, for [where logs go](super::super::Builder::logs).
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

    /// Makes OpenTelemetry's spans of `tracing`'s, those that `#[instrument]` makes, say, for [where traces go](super::super::Builder::traces).
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

    /// Writes `tracing`'s events, those that `RUST_LOG` lets through, to stdout, [as the program says](super::super::Builder::log_lines).
    #[must_use = "a layer does nothing before it is part of a subscriber"]
    pub fn lines_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.layers.lines()
    }
}
