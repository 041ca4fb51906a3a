//! User-provided functions and SDK parts that panic.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use otel_runtime::RpcRequest;
use tonic::metadata::MetadataMap;

/// The message of intended panics.
pub(super) const INTENDED: &str = "as asked";

/// The header that names the function that panics.
pub(super) const PANIC: &str = "x-panic";

/// Returns `true`, or panics if the request names this function.
pub(super) fn panic_if_requested(request: &RpcRequest<'_>, function: &str) -> bool {
    let asked = request.headers().get(PANIC);
    assert!(asked.is_none_or(|asked| asked != function), "{INTENDED}");
    true
}

/// Returns the value of a field, or panics if the request names `fields`.
pub(super) fn field(metadata: &MetadataMap) -> bool {
    let asked = metadata.get(PANIC);
    assert!(asked.is_none_or(|asked| asked != "fields"), "{INTENDED}");
    true
}

/// A propagator that panics or misbehaves on some calls, in turn.
#[derive(Debug, Default)]
pub(super) struct PanickingPropagator {
    inner: TraceContextPropagator,
    calls: AtomicU32,
}

impl PanickingPropagator {
    fn call_number(&self) -> u32 {
        self.calls.fetch_add(1, Ordering::Relaxed) % 8
    }
}

impl TextMapPropagator for PanickingPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        match self.call_number() {
            0 => panic!("{INTENDED}"),
            1 => injector.set("no header\n", "\n\0".to_owned()),
            2 => (0..100).for_each(|number| injector.set(&format!("x-{number}"), number.to_string())),
            3 => injector.set("traceparent", "00-".repeat(100)),
            _ => self.inner.inject_context(context, injector),
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        match self.call_number() {
            0 => panic!("{INTENDED}"),
            1 => Context::new(),
            _ => self.inner.extract_with_context(context, extractor),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        assert_ne!(self.call_number(), 0, "{INTENDED}");
        self.inner.fields()
    }
}

/// A span processor that panics at the end of every eighth span.
#[derive(Debug, Default)]
pub(super) struct PanickingProcessor(AtomicU32);

impl SpanProcessor for PanickingProcessor {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        assert_ne!(self.0.fetch_add(1, Ordering::Relaxed) % 8, 0, "{INTENDED}");
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
