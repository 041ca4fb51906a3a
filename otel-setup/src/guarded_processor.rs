//! Processors of the program, which may panic in any of their methods.

use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::panic_guard::{LOG_PROCESSOR, PanicGuard, SPAN_PROCESSOR};

/// A span processor or log processor whose panics cost nothing but its own work, and are logged
/// once.
///
/// Without it, a span processor that panics in `on_start` **and** in `on_end` of the same span, as
/// with a poisoned lock, ends the process: the SDK ends the span while the first panic unwinds.
///
/// ```
/// # use opentelemetry_sdk::trace::{InMemorySpanExporter, SimpleSpanProcessor};
/// use otel_setup::GuardedProcessor;
///
/// # let mine = SimpleSpanProcessor::new(InMemorySpanExporter::default());
/// let builder = otel_setup::builder()
///     .configure_tracer_provider(|provider| provider.with_span_processor(GuardedProcessor(mine)));
/// # drop(builder);
/// ```
#[derive(Clone, Debug)]
pub struct GuardedProcessor<P>(pub P);

/// Flushes or shuts down a processor.
fn end(guard: &'static PanicGuard, end: impl FnOnce() -> OTelSdkResult) -> OTelSdkResult {
    let result = guard.run(end);
    result.unwrap_or_else(|| Err(OTelSdkError::InternalFailure("a processor panicked".to_owned())))
}

impl<P: SpanProcessor> SpanProcessor for GuardedProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        SPAN_PROCESSOR.run(|| self.0.on_start(span, context));
    }

    fn on_end(&self, span: SpanData) {
        SPAN_PROCESSOR.run(|| self.0.on_end(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        end(&SPAN_PROCESSOR, || self.0.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        end(&SPAN_PROCESSOR, || self.0.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        SPAN_PROCESSOR.run(|| self.0.set_resource(resource));
    }
}

impl<P: LogProcessor> LogProcessor for GuardedProcessor<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        LOG_PROCESSOR.run(|| self.0.emit(record, scope));
    }

    fn force_flush(&self) -> OTelSdkResult {
        end(&LOG_PROCESSOR, || self.0.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        end(&LOG_PROCESSOR, || self.0.shutdown_with_timeout(timeout))
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        let enabled = LOG_PROCESSOR.run(|| self.0.event_enabled(level, target, name));
        enabled.unwrap_or(true)
    }

    fn set_resource(&mut self, resource: &Resource) {
        LOG_PROCESSOR.run(|| self.0.set_resource(resource));
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::{LogRecord, Logger, LoggerProvider};
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

    use super::*;

    /// Panics in every method.
    #[derive(Debug)]
    struct Panics;

    impl SpanProcessor for Panics {
        fn on_start(&self, _: &mut Span, _: &Context) {
            panic!("on purpose")
        }

        fn on_end(&self, _: SpanData) {
            panic!("on purpose")
        }

        fn force_flush(&self) -> OTelSdkResult {
            panic!("on purpose")
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            panic!("on purpose")
        }

        fn set_resource(&mut self, _: &Resource) {
            panic!("on purpose")
        }
    }

    impl LogProcessor for Panics {
        fn emit(&self, _: &mut SdkLogRecord, _: &InstrumentationScope) {
            panic!("on purpose")
        }

        fn force_flush(&self) -> OTelSdkResult {
            panic!("on purpose")
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            panic!("on purpose")
        }

        fn event_enabled(&self, _: Severity, _: &str, _: Option<&str>) -> bool {
            panic!("on purpose")
        }

        fn set_resource(&mut self, _: &Resource) {
            panic!("on purpose")
        }
    }

    #[test]
    fn a_panic_in_any_method_costs_no_other_processor() {
        let exporter = InMemorySpanExporter::default();
        let tracers = SdkTracerProvider::builder()
            .with_span_processor(GuardedProcessor(Panics))
            .with_simple_exporter(exporter.clone())
            .build();
        tracers.tracer("test").start("kept");
        assert_eq!(exporter.get_finished_spans().unwrap().len(), 1);
        assert!(
            tracers
                .force_flush()
                .unwrap_err()
                .to_string()
                .contains("a processor panicked")
        );
        assert!(
            tracers
                .shutdown()
                .unwrap_err()
                .to_string()
                .contains("a processor panicked")
        );

        let exporter = InMemoryLogExporter::default();
        let loggers = SdkLoggerProvider::builder()
            .with_log_processor(GuardedProcessor(Panics))
            .with_simple_exporter(exporter.clone())
            .build();
        let logger = loggers.logger("test");
        assert!(logger.event_enabled(Severity::Info, "test", None));
        let mut record = logger.create_log_record();
        record.set_body("kept".into());
        logger.emit(record);
        assert_eq!(exporter.get_emitted_logs().unwrap().len(), 1);
        assert!(
            loggers
                .force_flush()
                .unwrap_err()
                .to_string()
                .contains("a processor panicked")
        );
        assert!(
            loggers
                .shutdown()
                .unwrap_err()
                .to_string()
                .contains("a processor panicked")
        );
    }
}
