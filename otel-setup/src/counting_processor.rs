//! Processors that count spans and log records before they enter the bounded queue of the batch
//! processor, and spans that have not ended.
//!
//! After the shutdown they drop everything. Otherwise the SDK would log each span and log record.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::trace::Span as _;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{BatchLogProcessor, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanProcessor};

use crate::export_stats::ExportStats;
use crate::fork_check::FORKED;
use crate::unique_keys;

/// A batch processor with a counter in front, so items that find the queue full are counted as
/// well.
#[derive(Debug)]
pub(crate) struct CountingProcessor<P> {
    processor: P,
    stats: Arc<ExportStats>,
}

impl<P> CountingProcessor<P> {
    pub(crate) fn new(processor: P, stats: Arc<ExportStats>) -> Self {
        CountingProcessor { processor, stats }
    }

    /// Flushes until it is done. The SDK stops waiting after five seconds, but an export may take
    /// longer, and callers have a limit of their own.
    fn flush(&self, flush: impl Fn(&P) -> OTelSdkResult) -> OTelSdkResult {
        if self.stats.is_forked() {
            return Err(OTelSdkError::InternalFailure(FORKED.to_owned()));
        }
        loop {
            match flush(&self.processor) {
                Err(OTelSdkError::Timeout(_)) if !self.stats.is_closed() => {}
                result => return result,
            }
        }
    }
}

impl SpanProcessor for CountingProcessor<BatchSpanProcessor> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if span.span_context().is_sampled() {
            self.stats.add_started();
        }
        self.processor.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // Spans that are recorded but not sampled must not be exported. The batch processor does
        // not check that.
        if span.span_context.is_sampled() && !self.stats.is_closed() {
            self.stats.add_item(Some(span.end_time));
            self.processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(SpanProcessor::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

impl LogProcessor for CountingProcessor<BatchLogProcessor> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if !self.stats.is_closed() {
            if self.stats.is_closing() {
                self.stats.add_late();
            } else {
                self.stats.add_item(record.observed_timestamp());
            }
            unique_keys::in_record(record);
            self.processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(LogProcessor::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.processor.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{
        InMemorySpanExporter, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
    };

    use super::*;
    use crate::signal::Signal;

    /// Samples spans named `exported`, and only records all others.
    #[derive(Clone, Debug)]
    struct ByName;

    impl ShouldSample for ByName {
        fn should_sample(
            &self,
            _: Option<&Context>,
            _: TraceId,
            name: &str,
            _: &SpanKind,
            _: &[KeyValue],
            _: &[Link],
        ) -> SamplingResult {
            let decision = match name {
                "exported" => SamplingDecision::RecordAndSample,
                _ => SamplingDecision::RecordOnly,
            };
            SamplingResult {
                decision,
                attributes: Vec::new(),
                trace_state: TraceState::default(),
            }
        }
    }

    #[test]
    fn record_only_spans_are_neither_exported_nor_counted() {
        let exporter = InMemorySpanExporter::default();
        let stats = Arc::new(ExportStats::new(Signal::Traces, "here".to_owned()));
        let processor = BatchSpanProcessor::builder(exporter.clone()).build();
        let provider = SdkTracerProvider::builder()
            .with_sampler(ByName)
            .with_span_processor(CountingProcessor::new(processor, Arc::clone(&stats)))
            .build();
        for name in ["exported", "recorded", "exported"] {
            provider.tracer("test").start(name).end();
        }
        provider.force_flush().unwrap();
        assert_eq!(exporter.get_finished_spans().unwrap().len(), 2);
        let loss = stats.loss(Duration::ZERO).unwrap();
        assert_eq!(loss.lost, 2, "this exporter counts no deliveries");
    }
}
