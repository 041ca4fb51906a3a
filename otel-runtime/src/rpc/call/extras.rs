//! A call with options that are off by default.
//!
//! Apart, so that a call without them checks for them once at its start, and once at its end.

use std::time::Duration;

use opentelemetry::{Context, KeyValue};

use super::Call;
use super::end::record;
use crate::grpc::outcome::Outcome;
use crate::guard::CaughtPanic;
use crate::metrics::series::MethodMetrics;
use crate::rpc::call_log::{self, EndedCall, Remote};
use crate::rpc::extras::Extras;
use crate::{guard, semconv};

impl Call {
    #[inline]
    pub(crate) fn extras(&mut self) -> &mut Extras {
        &mut self.extras
    }

    /// Returns the number of messages of the request, if they are counted.
    fn request_messages(&self) -> Option<u64> {
        self.request_end.as_ref()?.messages()
    }

    /// Counts a call with such options among the active requests.
    #[cold]
    pub(super) fn start_extras(&mut self) {
        self.extras.set_series(self.method, &self.instrumentation);
        if self.unresolved.is_none() {
            self.extras.set_method(self.method, &self.instrumentation, None);
        }
        self.with_metrics(|metrics| metrics.add_active(1));
    }

    /// Tells the options of a method that was not known when the call started.
    #[cold]
    pub(super) fn set_method_of_extras(&mut self) {
        self.extras.set_series(self.method, &self.instrumentation);
        self.extras
            .set_method(self.method, &self.instrumentation, self.request_end.as_deref());
        self.record_tracing_method();
        if let Some(observed) = self.extras.observed() {
            observed.set_method(self.method.name());
        }
    }

    /// Calls `use_metrics` with the time series of the call.
    pub(super) fn with_metrics(&self, use_metrics: impl FnOnce(&MethodMetrics)) {
        match self.extras.metrics() {
            None => self
                .method
                .with_metrics(self.instrumentation.instruments(), use_metrics),
            Some(metrics) => use_metrics(metrics),
        }
    }

    /// Ends a call with such options.
    #[cold]
    pub(super) fn end_with_extras(&mut self, outcome: Outcome<'_>) {
        // A method that is not known by now stays unknown.
        self.extras
            .set_method(self.method, &self.instrumentation, self.request_end.as_deref());
        let outcome = self.extras.judge(self.method, outcome);
        let elapsed = self.started_at.elapsed();
        guard::METER.run(|| {
            self.with_metrics(|metrics| record(metrics, elapsed, outcome));
            self.record_legacy(elapsed, outcome);
        });
        self.extras.record_metrics(self.method, outcome);
        let messages = self.extras.messages(self.side(), self.request_messages());
        if self.extras.counts_by_method() {
            self.set_message_counts(messages);
        }
        let is_failure = outcome.error_type(self.side()).is_some();
        if let Some(remote) = self.extras.logged(elapsed, is_failure) {
            self.log(remote, elapsed, outcome, messages);
        }
        if let Some(span) = self.tracing_span() {
            self.end_tracing_span(span, outcome);
        }
        self.end_recorded(elapsed, outcome);
        self.extras.end_observed();
    }

    /// Adds the numbers of received and sent messages, and of earlier attempts, to the span.
    fn set_message_counts(&self, (received, sent): (Option<u64>, Option<u64>)) {
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

    /// Logs the end of the call in its context.
    fn log(
        &self,
        remote: &Remote,
        elapsed: Duration,
        outcome: Outcome<'_>,
        (received, sent): (Option<u64>, Option<u64>),
    ) {
        // A thread that is ending may have dropped its current context.
        let attach = || self.context.clone().map(Context::attach);
        let _attached = CaughtPanic::catch(attach).ok();
        let ended = EndedCall {
            side: self.side(),
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
