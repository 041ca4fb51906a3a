//! The processors of spans and of log records that feed the pages.

use std::time::Duration;

use opentelemetry::trace::Span as _;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use otel_runtime::observer;

use crate::zpages::registry::Registry;

/// A span processor that shows spans to the pages, and passes them on to another one.
///
/// If a provider has two processors, the SDK copies each span for both. So this is no processor
/// beside another, but one around it.
#[derive(Debug)]
pub(crate) struct ObservedSpans<P> {
    registry: &'static Registry,
    next: Option<P>,
}

impl<P> ObservedSpans<P> {
    pub(super) fn new(registry: &'static Registry, next: Option<P>) -> Self {
        ObservedSpans { registry, next }
    }

    fn forward(&self, call: impl FnOnce(&P) -> OTelSdkResult) -> OTelSdkResult {
        self.next.as_ref().map_or(Ok(()), call)
    }
}

impl<P: SpanProcessor> SpanProcessor for ObservedSpans<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        // An RPC tells its start itself: the copy of its span would double its cost.
        if !observer::meets(span.span_context())
            && let Some(data) = span.exported_data()
        {
            self.registry.start(data);
        }
        if let Some(next) = &self.next {
            next.on_start(span, context);
        }
    }

    fn on_end(&self, span: SpanData) {
        self.registry.end(&span);
        if let Some(next) = &self.next {
            next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.forward(SpanProcessor::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.forward(|next| next.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.registry.set_resource(resource);
        if let Some(next) = &mut self.next {
            next.set_resource(resource);
        }
    }
}

/// A log processor that shows log records inside of running spans to the pages.
#[derive(Debug)]
pub(crate) struct ObservedLogs(pub(super) &'static Registry);

impl LogProcessor for ObservedLogs {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.0.log(record, scope);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
