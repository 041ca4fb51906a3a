//! The end of a call, by its owner or because its owner is dropped.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanRef, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::Call;
use crate::grpc::outcome::Outcome;
use crate::guard::CaughtPanic;
use crate::metrics::{exemplars, legacy};
use crate::rpc::call_log::{self, EndedCall};
use crate::{guard, semconv};

impl Call {
    /// Ends the call: its span, its duration, its place among the active requests.
    ///
    /// The first end counts; later ones do nothing.
    pub(crate) fn end(&mut self, outcome: Outcome<'_>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let outcome = if self.extras.is_empty() {
            outcome
        } else {
            // A method that is not known by now stays unknown.
            self.extras
                .set_method(self.method, &self.instrumentation, self.request_end.as_deref());
            self.extras.judge(self.method, outcome)
        };
        let elapsed = self.started_at.elapsed();
        guard::METER.run(|| self.record_metrics(elapsed.as_secs_f64(), outcome));
        if exemplars::are_enabled() {
            self.record_exemplar(elapsed, outcome);
        }
        if !self.extras.is_empty() {
            self.end_extras(elapsed, outcome);
        }
        if let Some(context) = self.recording_context() {
            guard::TRACER.run(|| self.end_span(&context.span(), elapsed, outcome));
        }
    }

    /// Ends what options that are off by default have added to the call.
    #[cold]
    fn end_extras(&self, elapsed: Duration, outcome: Outcome<'_>) {
        let side = self.side();
        self.extras.record_metrics(self.method, outcome);
        let (received, sent) = self.extras.messages(side, self.request_messages());
        if self.extras.counts_by_method() {
            self.set_attributes(|| {
                let attributes = [
                    (semconv::RPC_MESSAGES_RECEIVED, received.map(u64::cast_signed)),
                    (semconv::RPC_MESSAGES_SENT, sent.map(u64::cast_signed)),
                    (semconv::RPC_REQUEST_RESEND_COUNT, self.extras.previous_attempts()),
                ];
                let attributes = attributes.into_iter();
                attributes.filter_map(|(key, value)| Some(KeyValue::new(key, value?)))
            });
        }
        let is_failure = outcome.error_type(side).is_some();
        if let Some(remote) = self.extras.logged(elapsed, is_failure) {
            // A thread that is ending may have dropped its current context.
            let attach = || self.context.clone().map(Context::attach);
            let _attached = CaughtPanic::catch(attach).ok();
            let ended = EndedCall {
                side,
                method: self.method.name(),
                original_method: self.original_method(),
                outcome,
                elapsed,
                remote,
                received,
                sent,
            };
            guard::SUBSCRIBER.run(|| call_log::log(&ended));
        }
    }

    #[inline]
    fn record_metrics(&self, seconds: f64, outcome: Outcome<'_>) {
        let instruments = self.instrumentation.instruments();
        self.with_metrics(|metrics| {
            metrics.add_active(-1);
            metrics.record_duration(seconds, outcome);
        });
        if let Some(legacy) = instruments.legacy() {
            legacy.record_duration(self.side(), self.method.name(), seconds, outcome);
        }
    }

    #[inline(never)]
    fn record_exemplar(&self, elapsed: Duration, outcome: Outcome<'_>) {
        // Without a start time there is no span of this call. Exemplars are kept by method, and not
        // by the user's attributes.
        let Some(context) = self
            .context
            .as_ref()
            .filter(|_| self.start_time > SystemTime::UNIX_EPOCH && self.extras.metrics().is_none())
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
        if let Some(end) = &self.request_end {
            end.stop_counting();
        }
        std::mem::forget(self.recording_context().cloned());
    }

    /// Returns the outcome of a call whose caller has gone away.
    pub(crate) fn abandoned(&self) -> Outcome<'static> {
        if self.deadline_exceeded() {
            Outcome::DEADLINE_EXCEEDED
        } else {
            Outcome::CANCELLED
        }
    }

    #[inline]
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
        if self.ended {
            return;
        }
        match self.pending_status.take() {
            Some((code, message)) if !self.request_is_lost() => self.end(Outcome::new(code, &message)),
            _ => self.end(self.abandoned()),
        }
    }
}
