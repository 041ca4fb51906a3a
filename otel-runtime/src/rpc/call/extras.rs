//! A call with options that are off by default.
//!
//! Apart, so that a call without them checks for them once at its start, and once at its end.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;

use super::Call;
use crate::grpc::outcome::Outcome;
use crate::grpc::side::Side;
use crate::metrics::attribute_set::AttributeSet;
use crate::metrics::series::MethodMetrics;
use crate::rpc::call_log::{self, EndedCall, Remote};
use crate::rpc::call_options::{CallOptions, RequestFacts};
use crate::rpc::extras::Extras;
use crate::rpc::message_sizes::MessageSizes;
use crate::rpc::method_scope;
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

    /// Sets the options of the layer that started the call.
    #[inline]
    pub(crate) fn set_options(&mut self, options: Option<&Arc<CallOptions>>, request: RequestFacts) {
        let method = self.known_method();
        let grpc_sizes = options.is_some_and(|options| options.message_sizes);
        let sizes = MessageSizes::new_if_enabled(&self.instrumentation, method, grpc_sizes);
        self.extras.set_options(options, sizes, request);
        if method.is_some() {
            self.extras.set_method(self.method, &self.instrumentation, None);
        }
    }

    /// Sets the time series of a call whose metrics have attributes of the user's own.
    #[inline]
    pub(crate) fn set_own_metrics(&mut self, metrics: Option<Arc<MethodMetrics>>) {
        self.own_metrics = metrics;
    }

    /// Sets the user's own attributes on the metrics of a call whose method is not known.
    #[cold]
    pub(crate) fn set_own_attributes(&mut self, attributes: Option<Arc<AttributeSet>>) {
        if let Some(attributes) = attributes {
            self.extras.set_attributes(attributes);
            self.find_own_metrics();
        }
    }

    /// Finds the time series of a call whose method was not known when it started, if they have
    /// attributes of the user's own.
    #[cold]
    fn find_own_metrics(&mut self) {
        if let Some(attributes) = self.extras.attributes() {
            let instruments = self.instrumentation.instruments();
            self.own_metrics = guard::METER.run(|| self.method.metrics_with(instruments, attributes));
        }
    }

    /// Tells the options of a method that was not known when the call started.
    #[cold]
    pub(super) fn set_method_of_extras(&mut self) {
        self.find_own_metrics();
        self.extras
            .set_method(self.method, &self.instrumentation, self.request_end.as_deref());
        self.record_tracing_method();
        if let Some((observer, span)) = self.observed() {
            observer.set_method(span, self.method.name());
        }
    }

    /// Calls `use_metrics` with the time series of the call.
    // Always inlined, although most callers are cold: saves 24 instructions.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn with_metrics(&self, use_metrics: impl FnOnce(&MethodMetrics)) {
        match &self.own_metrics {
            None => self
                .method
                .with_metrics(self.instrumentation.instruments(), use_metrics),
            Some(metrics) => use_metrics(metrics),
        }
    }

    /// Tells the options that the method, which is not known at the end, stays unknown.
    #[cold]
    pub(super) fn settle_method(&mut self) {
        self.extras
            .set_method(self.method, &self.instrumentation, self.request_end.as_deref());
    }

    /// Records the end of a call, beside its span and its duration.
    #[inline]
    pub(super) fn end_extras(&mut self, elapsed: Duration, outcome: Outcome<'_>) {
        // Before the call is logged, whose line has the fields of the span.
        if let Some(span) = self.tracing_span() {
            self.end_tracing_span(span, outcome);
        }
        if self.extras.has_options() {
            self.end_options(elapsed, outcome);
        }
    }

    fn end_options(&mut self, elapsed: Duration, outcome: Outcome<'_>) {
        self.extras.record_metrics(self.method, outcome);
        if self.extras.counts_messages() {
            self.end_counted(elapsed, outcome);
        }
    }

    /// Records the numbers of messages on the span, and logs the call, as the options want.
    #[inline(never)]
    fn end_counted(&self, elapsed: Duration, outcome: Outcome<'_>) {
        let messages = self.extras.messages(self.side(), self.request_messages());
        if self.extras.counts_by_method() {
            self.set_message_counts(messages);
        }
        let is_failure = outcome.error_type(self.side()).is_some();
        if let Some(remote) = self.extras.logged(elapsed, is_failure) {
            self.log(remote, elapsed, outcome, messages);
        }
    }

    /// Adds the numbers of received and sent messages, and of earlier attempts, to the span.
    fn set_message_counts(&self, (received, sent): (Option<u64>, Option<u64>)) {
        self.set_attributes(&mut || {
            let attributes = [
                (semconv::RPC_MESSAGES_RECEIVED, received.map(u64::cast_signed)),
                (semconv::RPC_MESSAGES_SENT, sent.map(u64::cast_signed)),
                (semconv::RPC_REQUEST_RESEND_COUNT, self.extras.previous_attempts()),
            ];
            let attributes = attributes.into_iter();
            attributes
                .filter_map(|(key, value)| Some(KeyValue::new(key, value?)))
                .collect()
        });
    }

    /// Logs the end of the call, in whose context it is.
    #[inline(never)]
    fn log(
        &self,
        remote: &Remote,
        elapsed: Duration,
        outcome: Outcome<'_>,
        (received, sent): (Option<u64>, Option<u64>),
    ) {
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
        guard::SUBSCRIBER.run(|| {
            let _entered = self.tracing_span().map(tracing::Span::enter);
            match ended.side {
                // The thread no longer serves the call.
                Side::Server => method_scope::run_in(self.known_name(), || call_log::log(&ended)),
                Side::Client => call_log::log(&ended),
            }
        });
    }
}
