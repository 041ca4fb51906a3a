//! The state of a call for options that are off by default.
//!
//! A call without them has a null pointer instead, so they cost nothing there.

mod state;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use http::HeaderMap;
use http_body::Frame;

use self::state::{State, put_back, take};
use super::call_log::Remote;
use super::call_options::{CallOptions, RequestFacts};
use super::message_sizes::{BodyCounter, MessageSizes};
use super::request_end::RequestEnd;
use crate::grpc::outcome::Outcome;
use crate::grpc::side::{Direction, Side};
use crate::guard;
use crate::instrumentation::Instrumentation;
use crate::method::Method;
use crate::metrics::attribute_set::AttributeSet;
use crate::metrics::message_counts::MethodCounts;
use crate::observer::Messages;

/// The state of a call for options that are off by default. Empty if all of them are off.
#[derive(Default)]
pub(crate) struct Extras(Option<Box<State>>);

impl Extras {
    /// Sets the options of the layer that started the call.
    #[inline]
    pub(crate) fn set_options(
        &mut self,
        options: Option<&Arc<CallOptions>>,
        message_sizes: Option<Arc<MessageSizes>>,
        request: RequestFacts,
    ) {
        let state = self.state();
        state.is_configured = true;
        state.options = options.cloned();
        state.message_sizes = message_sizes;
        // The state is empty, so there is nothing to be dropped, which would be checked.
        std::mem::forget(std::mem::replace(&mut state.request, request));
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns `true` if the layer has such options, or if sizes of messages are recorded.
    #[inline]
    pub(crate) fn has_options(&self) -> bool {
        let state = self.0.as_deref();
        state.is_some_and(|state| state.options.is_some() || state.message_sizes.is_some())
    }

    #[inline]
    fn state(&mut self) -> &mut State {
        self.0.get_or_insert_with(take)
    }

    /// Returns the `tracing` span of the call, if it has one.
    #[inline]
    pub(crate) fn tracing_span(&self) -> Option<&tracing::Span> {
        self.0.as_ref()?.tracing_span.as_ref()
    }

    pub(crate) fn set_tracing_span(&mut self, span: tracing::Span) {
        let state = self.state();
        state.is_configured = true;
        state.tracing_span = Some(span);
    }

    /// Counts the messages of the call for an observer.
    #[inline]
    pub(crate) fn observe(&mut self) -> Arc<Messages> {
        self.state().observe()
    }

    /// Returns `true` if the messages are counted for an observer.
    pub(crate) fn is_observed(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.is_observed)
    }

    /// Returns `true` if the call has any of this, and is not only [observed](Self::is_observed).
    #[inline]
    pub(crate) fn is_configured(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.is_configured)
    }

    #[inline]
    fn message_sizes(&self) -> Option<&Arc<MessageSizes>> {
        self.0.as_ref()?.message_sizes.as_ref()
    }

    /// Starts to count the messages of a response, if they are counted.
    #[inline]
    pub(crate) fn start_response(&mut self, direction: Direction, headers: &HeaderMap) {
        if let Some(state) = &mut self.0
            && state.wants_messages()
        {
            state.start_response(direction, headers);
        }
    }

    /// Returns `true` if the messages of the response are counted.
    #[inline]
    pub(crate) fn counts_response(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.response.is_some())
    }

    /// Counts what a poll of the response yielded, if its messages are
    /// [counted](Self::counts_response).
    #[cold]
    #[inline(never)]
    pub(crate) fn on_response<D: Buf, E>(&mut self, frame: Option<&Result<Frame<D>, E>>) {
        let frame = match frame {
            None => None,
            Some(Ok(frame)) => Some(frame),
            Some(Err(_)) => return,
        };
        if let Some(state) = &mut self.0 {
            state.on_response(frame);
        }
    }

    /// Returns a counter for the messages of a request, if they are counted.
    pub(crate) fn request_counter(&self, direction: Direction) -> Option<BodyCounter> {
        self.0.as_ref()?.counter(direction)
    }

    /// Returns `true` if the call wants more of messages than their number.
    pub(crate) fn reads_messages(&self) -> bool {
        self.0.as_deref().is_some_and(State::reads_messages)
    }

    /// Returns `true` if the body of a request must be wrapped, wherever it comes from.
    #[inline]
    pub(crate) fn watches_request(&self) -> bool {
        self.0.as_deref().is_some_and(State::watches_request)
    }

    /// Returns `true` if messages are counted by method, while the call runs.
    pub(crate) fn counts_by_method(&self) -> bool {
        self.0.as_deref().is_some_and(State::counts_by_method)
    }

    /// Returns the counts that the messages of the request belong to, if the method is known.
    #[inline]
    pub(crate) fn request_counts(&self, side: Side) -> Option<(Arc<MethodCounts>, Direction)> {
        let counts = self.0.as_ref()?.counts.as_ref()?;
        Some((Arc::clone(counts), side.request_direction()))
    }

    /// Sets the method once it is known, and counts by method what has passed until now.
    #[inline]
    pub(crate) fn set_method(
        &mut self,
        method: &'static Method,
        instrumentation: &Instrumentation,
        request_end: Option<&RequestEnd>,
    ) {
        if let Some(state) = &mut self.0 {
            state.set_method(method, instrumentation, request_end);
        }
    }

    /// Returns the user's own attributes on the metrics of a call that started without a known
    /// method, if it has some.
    pub(crate) fn attributes(&self) -> Option<&AttributeSet> {
        self.0.as_ref()?.attributes.as_deref()
    }

    /// Sets the user's own attributes on the metrics of a call whose method is not known.
    #[cold]
    pub(crate) fn set_attributes(&mut self, attributes: Arc<AttributeSet>) {
        let state = self.state();
        state.is_configured = true;
        state.attributes = Some(attributes);
    }

    /// Takes the call back, which has started anew.
    #[cold]
    pub(crate) fn discard(&mut self) {
        if let Some(counts) = self.0.as_mut().and_then(|state| state.counts.take()) {
            counts.add_started(-1);
        }
    }

    /// Records the end of the call in the metrics that the options want.
    #[inline]
    pub(crate) fn record_metrics(&self, method: &'static Method, outcome: Outcome<'_>) {
        if let Some(sizes) = self.message_sizes() {
            guard::METER.run(|| sizes.end(method, outcome));
        }
    }

    /// Returns the numbers of received and of sent messages. `request` is the number of the
    /// request's.
    pub(crate) fn messages(&self, side: Side, request: Option<u64>) -> (Option<u64>, Option<u64>) {
        let response = self.0.as_ref().map(|state| state.response_messages);
        match side {
            Side::Server => (request, response),
            Side::Client => (response, request),
        }
    }

    /// Returns `true` if messages are counted, for the span of the call or its log event.
    #[inline]
    pub(crate) fn counts_messages(&self) -> bool {
        self.0.as_deref().is_some_and(State::counts_messages)
    }

    /// Returns the number of earlier attempts, if the caller sent it.
    pub(crate) fn previous_attempts(&self) -> Option<i64> {
        self.0.as_ref()?.request.previous_attempts
    }

    /// Returns the other end of the call, if the call is logged.
    pub(crate) fn logged(&self, elapsed: Duration, is_failure: bool) -> Option<&Remote> {
        let state = self.0.as_ref()?;
        let is_logged = state.log().is_some_and(|log| log.logs(elapsed, is_failure));
        is_logged.then_some(&state.request.remote)
    }

    /// Returns the outcome of the call as the user's function judges it.
    #[inline]
    pub(crate) fn judge<'a>(&self, method: &'static Method, outcome: Outcome<'a>) -> Outcome<'a> {
        let options = self.0.as_ref().and_then(|state| state.options.as_ref());
        match options.and_then(|options| options.failures.as_ref()) {
            Some(failures) => failures.judge(method.name(), method.side(), outcome),
            None => outcome,
        }
    }
}

impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extras").finish_non_exhaustive()
    }
}

impl Drop for Extras {
    #[inline]
    fn drop(&mut self) {
        if let Some(state) = self.0.take() {
            put_back(state);
        }
    }
}
