//! The state of a call for options that are off by default.
//!
//! A call without them has a null pointer instead, so they cost nothing there.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::call::Call;
use super::call_log::{self, CallLog, EndedCall, Remote};
use super::current;
use super::message_sizes::{BodyCounter, MessageSizes};
use crate::grpc::content_type::is_grpc;
use crate::grpc::failures::Failures;
use crate::grpc::outcome::Outcome;
use crate::grpc::side::{Direction, Side};
use crate::guard;
use crate::method::Method;

/// Options of a layer that its calls need until their end.
#[derive(Clone, Default)]
pub(crate) struct CallOptions {
    pub(crate) failures: Option<Failures>,
    pub(crate) log: Option<CallLog>,
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions").finish_non_exhaustive()
    }
}

/// Number of empty boxes that a thread keeps.
const MAX_POOLED: usize = 32;

thread_local! {
    // The pool holds boxes without state, to reuse their allocation.
    #[allow(clippy::vec_box)]
    static POOL: RefCell<Vec<Box<State>>> = const { RefCell::new(Vec::new()) };
}

/// The state of a call for options that are off by default. Empty if all of them are off.
#[derive(Debug, Default)]
pub(crate) struct Extras(Option<Box<State>>);

#[derive(Debug, Default)]
struct State {
    options: Option<Arc<CallOptions>>,
    message_sizes: Option<Arc<MessageSizes>>,
    remote: Remote,
    /// Number of messages of the response so far.
    response_messages: u64,
}

impl State {
    fn log(&self) -> Option<CallLog> {
        self.options.as_ref()?.log
    }
}

impl Extras {
    /// Returns the state of a call with these options. `remote` is the other end of the call.
    #[inline]
    pub(crate) fn new(
        options: Option<&Arc<CallOptions>>,
        message_sizes: Option<Arc<MessageSizes>>,
        remote: impl FnOnce() -> Remote,
    ) -> Self {
        if options.is_none() && message_sizes.is_none() {
            return Extras(None);
        }
        Extras::with_state(options.cloned(), message_sizes, remote())
    }

    #[cold]
    fn with_state(options: Option<Arc<CallOptions>>, message_sizes: Option<Arc<MessageSizes>>, remote: Remote) -> Self {
        let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        let mut state = pooled.unwrap_or_default();
        *state = State {
            options,
            message_sizes,
            remote,
            response_messages: 0,
        };
        Extras(Some(state))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(crate) fn message_sizes(&self) -> Option<&Arc<MessageSizes>> {
        self.0.as_ref()?.message_sizes.as_ref()
    }

    /// Returns a counter for the messages of a response, if they are counted.
    #[inline]
    pub(crate) fn response_counter(&self, direction: Direction, headers: &HeaderMap) -> Option<BodyCounter> {
        let state = self.0.as_ref()?;
        if let Some(sizes) = &state.message_sizes {
            return sizes.response_counter(direction, headers);
        }
        (state.log().is_some() && is_grpc(headers)).then(|| BodyCounter::new(direction))
    }

    /// Returns a counter for the messages of a request, if they are counted.
    pub(crate) fn request_counter(&self, direction: Direction) -> Option<BodyCounter> {
        let state = self.0.as_ref()?;
        if let Some(sizes) = &state.message_sizes {
            return Some(sizes.counter(direction));
        }
        state.log().map(|_| BodyCounter::new(direction))
    }

    /// Counts messages of the response.
    pub(crate) fn add_response_messages(&mut self, messages: u64) {
        if let Some(state) = &mut self.0 {
            state.response_messages += messages;
        }
    }

    /// Logs the end of the call, if that is an option.
    #[cold]
    pub(crate) fn log(&self, call: &Call, elapsed: Duration, outcome: Outcome<'_>) {
        let Some(state) = &self.0 else {
            return;
        };
        let side = call.side();
        let is_failure = outcome.error_type(side).is_some();
        if !state.log().is_some_and(|log| log.logs(elapsed, is_failure)) {
            return;
        }
        let (response, request) = (Some(state.response_messages), call.request_messages());
        let (received, sent) = match side {
            Side::Server => (request, response),
            Side::Client => (response, request),
        };
        let ended = EndedCall {
            side,
            method: call.method_name(),
            original_method: call.original_method(),
            outcome,
            elapsed,
            remote: &state.remote,
            received,
            sent,
        };
        let _attached = call.context().and_then(current::attach);
        guard::SUBSCRIBER.run(|| call_log::log(&ended));
    }

    /// Returns the outcome of the call as the user's function judges it.
    #[cold]
    pub(crate) fn judge<'a>(&self, method: &'static Method, outcome: Outcome<'a>) -> Outcome<'a> {
        let options = self.0.as_ref().and_then(|state| state.options.as_ref());
        match options.and_then(|options| options.failures.as_ref()) {
            Some(failures) => failures.judge(method.name(), method.side(), outcome),
            None => outcome,
        }
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

/// Puts the box of a state into the pool of this thread.
#[cold]
fn put_back(mut state: Box<State>) {
    // Dropped before the pool is borrowed: the user's functions may be, too.
    *state = State::default();
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < MAX_POOLED {
            pool.push(state);
        }
    });
}
