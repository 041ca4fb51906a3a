//! The end of a call, by its owner or because its owner is dropped.

use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanRef, TraceContextExt};

use super::Call;
use crate::grpc::outcome::Outcome;
use crate::metrics::series::MethodMetrics;
use crate::metrics::{exemplars, legacy};
use crate::{guard, semconv};

impl Call {
    /// Ends the call: its span, its duration, its place among the active requests.
    ///
    /// The first end counts; later ones do nothing. The context of the call is [attached]: whatever
    /// the meter provider adds to its measurements, such as exemplars, it finds the call's span.
    ///
    /// [attached]: Self::attach
    pub(crate) fn end(&mut self, outcome: Outcome<'_>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if self.extras.is_configured() {
            self.end_with_extras(outcome);
            return;
        }
        let elapsed = self.started_at.elapsed();
        guard::METER.run(|| self.record_duration(elapsed, outcome));
        if exemplars::are_enabled() {
            self.record_exemplar(elapsed, outcome);
        }
        if let Some(context) = self.recording_context() {
            guard::TRACER.run(|| self.end_span(&context.span(), elapsed, outcome));
        }
    }

    /// Ends a call with options that are off by default. Apart, so that other calls check for them
    /// once.
    #[cold]
    #[inline(never)]
    fn end_with_extras(&mut self, outcome: Outcome<'_>) {
        if self.unresolved.is_some() {
            self.settle_method();
        }
        let outcome = self.extras.judge(self.method, outcome);
        let elapsed = self.started_at.elapsed();
        guard::METER.run(|| self.record_duration(elapsed, outcome));
        self.end_extras(elapsed, outcome);
        if exemplars::are_enabled() {
            self.record_exemplar(elapsed, outcome);
        }
        if let Some(context) = self.recording_context() {
            guard::TRACER.run(|| self.end_span(&context.span(), elapsed, outcome));
        }
    }

    // Always inlined, although it has a second caller, which is cold.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn record_duration(&self, elapsed: Duration, outcome: Outcome<'_>) {
        self.with_metrics(|metrics| record(metrics, elapsed, outcome));
        if let Some(legacy) = self.instrumentation.instruments().legacy() {
            legacy.record_duration(self.side(), self.method.name(), elapsed.as_secs_f64(), outcome);
        }
    }

    #[inline(never)]
    fn record_exemplar(&self, elapsed: Duration, outcome: Outcome<'_>) {
        // Exemplars are kept by method, and not by the user's own attributes.
        if self.own_metrics.is_some() {
            return;
        }
        // Without a start time there is no span of this call.
        let Some(context) = self
            .context
            .as_ref()
            .filter(|_| self.start_time > SystemTime::UNIX_EPOCH)
        else {
            return;
        };
        let instruments = self.instrumentation.instruments();
        self.method.exemplars().record(
            outcome,
            instruments.boundaries(),
            context.span().span_context(),
            self.start_time,
            elapsed,
            || self.method.duration_series(instruments, outcome),
        );
    }

    /// Takes the call back, so that nothing of it is recorded.
    ///
    /// The SDK exports a span when it is dropped, so this one is leaked. That must not happen to
    /// each call.
    #[cold]
    pub(crate) fn discard(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.with_metrics(|metrics| metrics.add_active(-1));
        self.extras.discard();
        if let Some((observer, span)) = self.observed() {
            observer.discard(span);
        }
        if let Some(end) = &self.request_end {
            end.stop_counting();
        }
        std::mem::forget(self.recording_context().cloned());
    }

    /// Ends a call that is dropped.
    #[cold]
    #[inline(never)]
    fn end_dropped(&mut self) {
        let _attached = self.attach();
        match self.pending_status.take() {
            Some((code, message)) if !self.request_is_lost() => self.end(Outcome::new(code, &message)),
            _ => self.end(self.abandoned()),
        }
    }

    /// Returns the outcome of a call whose caller has gone away.
    pub(crate) fn abandoned(&self) -> Outcome<'static> {
        if self.deadline_exceeded() {
            Outcome::DEADLINE_EXCEEDED
        } else {
            Outcome::CANCELLED
        }
    }

    // Always inlined, although it has a second caller, which is cold.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn end_span(&self, span: &SpanRef<'_>, elapsed: Duration, outcome: Outcome<'_>) {
        let has_legacy_names = self.instrumentation.instruments().legacy().is_some();
        if let Some(unresolved) = &self.unresolved {
            span.update_name(self.method.span_name());
            span.set_attribute(self.method.rpc_method());
            let original = unresolved.name().to_owned();
            span.set_attribute(KeyValue::new(semconv::RPC_METHOD_ORIGINAL, original));
            if has_legacy_names {
                span.set_attributes(legacy::span_attributes(self.method.name()));
            }
        }
        if has_legacy_names {
            span.set_attribute(legacy::status_code(outcome));
        }
        span.set_attribute(KeyValue::new(semconv::RPC_STATUS_CODE, outcome.code_str()));
        if let Some(error_type) = outcome.error_type(self.side()) {
            span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, error_type));
        }
        if let Some(status) = outcome.span_status(self.side()) {
            span.set_status(status);
        }
        // Computed from the monotonic clock, so that the span is exactly as long as the duration.
        span.end_with_timestamp(self.start_time + elapsed);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(end) = self.request_end.take_if(|_| self.ended) {
            end.put_back();
        }
        if !self.ended {
            self.end_dropped();
        }
    }
}

#[inline]
fn record(metrics: &MethodMetrics, elapsed: Duration, outcome: Outcome<'_>) {
    metrics.add_active(-1);
    metrics.record_duration(elapsed.as_secs_f64(), outcome);
}
