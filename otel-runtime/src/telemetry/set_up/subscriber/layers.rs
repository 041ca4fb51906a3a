//! The layers of the subscriber, one for each thing that becomes of events and spans.

use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::super::Telemetry;
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
        let loggers = self.loggers.as_ref();
        loggers.map(|loggers| OpenTelemetryTracingBridge::new(loggers).with_filter(self.directives.of_logs()))
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
        lines.map(|lines| lines.with_filter(self.directives.of_lines()))
    }
}

/// # Layers for a subscriber of your own
impl Telemetry {
    /// Makes log records of `tracing`'s events.
    #[must_use = "a layer does nothing before it is part of a subscriber"]
    pub fn logs_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.layers.logs()
    }

    /// Makes OpenTelemetry's spans of `tracing`'s.
    #[must_use = "a layer does nothing before it is part of a subscriber"]
    pub fn spans_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.layers.spans()
    }

    /// Writes `tracing`'s events to stdout.
    #[must_use = "a layer does nothing before it is part of a subscriber"]
    pub fn lines_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.layers.lines()
    }
}
