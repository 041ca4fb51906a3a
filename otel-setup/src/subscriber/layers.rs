//! The layers of the subscriber: log records, spans, and lines on stdout.

use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::registry::LookupSpan;

use super::directives::Directives;
use super::guarded::Guarded;
use super::registered::{Registration, Witness};
use super::spec_logger::SpecLoggerProvider;
use super::stdout_logs::StdoutLogs;
use crate::guarded_traces::GuardedTracer;

/// The kinds of layers.
enum Logs {}
enum Spans {}
enum Stdout {}

/// The ingredients of the layers.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) tracers: Option<SdkTracerProvider>,
    pub(crate) loggers: Option<SdkLoggerProvider>,
    /// The filter of events.
    pub(crate) directives: Directives,
    pub(crate) span_directives: Directives,
    /// Whether events have the fields of enclosing spans.
    pub(crate) span_fields: bool,
    pub(crate) stdout: StdoutLogs,
}

impl Layers {
    pub(crate) fn logs<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.loggers.clone().map(|loggers| {
            let loggers = SpecLoggerProvider(loggers);
            let mut bridge = OpenTelemetryTracingBridge::builder(&loggers);
            if self.span_fields {
                bridge = bridge.with_tracing_span_attributes(TracingSpanAttributes::all());
            }
            let registration = Registration::default();
            Guarded(bridge.build())
                .and_then(Witness::<Logs>::new(&registration))
                .with_filter(self.directives.event_filter().and(registration))
        })
    }

    pub(crate) fn spans<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        self.tracers.as_ref().map(|tracers| {
            let registration = Registration::default();
            tracing_opentelemetry::layer()
                .with_tracer(GuardedTracer(tracers.tracer("tracing")))
                // Only the source location of the metadata becomes attributes.
                .with_target(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .and_then(Witness::<Spans>::new(&registration))
                .with_filter(self.span_directives.span_filter().and(registration))
        })
    }

    pub(crate) fn stdout<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        let layer = self.stdout.layer(self.span_fields);
        layer.map(|layer| {
            let registration = Registration::default();
            layer
                .and_then(Witness::<Stdout>::new(&registration))
                .with_filter(self.directives.event_filter().and(registration))
        })
    }
}
