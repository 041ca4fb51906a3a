//! The contents of the state, and a pool of boxes for it.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Buf;
use http::HeaderMap;
use http_body::Frame;

use crate::grpc::content_type::is_grpc;
use crate::grpc::side::Direction;
use crate::guard;
use crate::instrumentation::Instrumentation;
use crate::method::Method;
use crate::metrics::attribute_set::AttributeSet;
use crate::metrics::message_counts::MethodCounts;
use crate::observer::Messages;
use crate::rpc::call_log::CallLog;
use crate::rpc::call_options::{CallOptions, RequestFacts};
use crate::rpc::message_sizes::{BodyCounter, MessageSizes};
use crate::rpc::request_end::RequestEnd;

/// Number of empty boxes that a thread keeps.
const MAX_POOLED: usize = 32;

thread_local! {
    // The pool holds boxes without state, to reuse their allocation.
    #[allow(clippy::vec_box)]
    static POOL: RefCell<Vec<Box<State>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
pub(super) struct State {
    /// Whether more has been set than an observer needs.
    pub(super) is_configured: bool,
    pub(super) options: Option<Arc<CallOptions>>,
    pub(super) message_sizes: Option<Arc<MessageSizes>>,
    pub(super) request: RequestFacts,
    /// Counts the messages of the response, if they are counted.
    pub(super) response: Option<BodyCounter>,
    /// Number of messages of the response so far.
    pub(super) response_messages: u64,
    /// The part of `response_messages` that is not in `counts` yet.
    pub(super) uncounted: u64,
    /// `None` if the method is not known yet, or if nothing is counted by method.
    pub(super) counts: Option<Arc<MethodCounts>>,
    /// The user's own attributes on metrics, if the method was not known at the start.
    pub(super) attributes: Option<Arc<AttributeSet>>,
    pub(super) tracing_span: Option<tracing::Span>,
    pub(super) is_observed: bool,
    /// The messages so far, for an observer. A pooled state keeps them.
    messages: Option<Arc<Messages>>,
}

impl State {
    pub(super) fn log(&self) -> Option<CallLog> {
        self.options.as_ref()?.log
    }

    #[inline]
    pub(super) fn counts_messages(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.counts_messages())
    }

    #[inline]
    pub(super) fn watches_request(&self) -> bool {
        self.reads_messages() || self.counts_by_method()
    }

    #[inline]
    pub(super) fn reads_messages(&self) -> bool {
        self.message_sizes.is_some() || self.is_observed
    }

    /// Returns `true` if messages are counted, or told to anyone.
    #[inline]
    pub(super) fn wants_messages(&self) -> bool {
        self.reads_messages() || self.counts_messages()
    }

    /// Returns a counter for the messages of one body, if they are counted.
    pub(super) fn counter(&self, direction: Direction) -> Option<BodyCounter> {
        self.wants_messages().then(|| {
            let observed = if self.is_observed { self.messages.clone() } else { None };
            BodyCounter::with(direction, self.message_sizes.clone(), observed)
        })
    }

    /// Returns the messages of the call, which are counted from now on.
    #[inline]
    pub(super) fn observe(&mut self) -> Arc<Messages> {
        self.is_observed = true;
        Arc::clone(self.messages.get_or_insert_default())
    }

    /// Empties the state for another call.
    #[inline]
    fn clear(&mut self) {
        if self.is_configured {
            if let Some(span) = self.tracing_span.take() {
                guard::SUBSCRIBER.run(|| drop(span));
            }
            *self = State::default();
            return;
        }
        // Only what is observed has been set, which takes a third of the instructions to reset.
        self.response = None;
        (self.response_messages, self.uncounted) = (0, 0);
        self.is_observed = false;
        // The body of the request, or a page, may still have the messages.
        match self.messages.as_mut().and_then(Arc::get_mut) {
            Some(messages) => messages.reset(),
            None => self.messages = None,
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn start_response(&mut self, direction: Direction, headers: &HeaderMap) {
        // An observer needs no check: the bytes of another response are hardly whole messages.
        if !self.is_configured || is_grpc(headers) {
            self.response = self.counter(direction);
        } else if let Some(sizes) = &self.message_sizes {
            sizes.on_other_response(direction);
        }
    }

    #[inline]
    pub(super) fn on_response<D: Buf>(&mut self, frame: Option<&Frame<D>>) {
        let Some(counter) = &mut self.response else {
            return;
        };
        let messages = counter.on_poll(frame);
        self.response_messages += messages;
        match &self.counts {
            Some(counts) => counts.add_messages(counter.direction(), messages),
            None => self.uncounted += messages,
        }
    }

    #[inline]
    pub(super) fn counts_by_method(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.message_counts)
    }

    /// Sets the method once it is known, and counts by method what has passed until now.
    #[inline]
    pub(super) fn set_method(
        &mut self,
        method: &'static Method,
        instrumentation: &Instrumentation,
        request_end: Option<&RequestEnd>,
    ) {
        if let Some(sizes) = &self.message_sizes {
            sizes.set_method(method);
        }
        if self.counts_by_method() && self.counts.is_none() {
            self.count_by_method(method, instrumentation, request_end);
        }
    }

    #[inline(never)]
    fn count_by_method(
        &mut self,
        method: &'static Method,
        instrumentation: &Instrumentation,
        request_end: Option<&RequestEnd>,
    ) {
        let side = method.side();
        let counts = guard::METER.run(|| method.message_counts(instrumentation.instruments()));
        let Some(counts) = counts else {
            return;
        };
        counts.add_started(1);
        counts.add_messages(side.response_direction(), std::mem::take(&mut self.uncounted));
        if let Some(end) = request_end {
            end.set_counts(Arc::clone(&counts), side.request_direction());
        }
        self.counts = Some(counts);
    }
}

/// Takes the box of an empty state from the pool of this thread.
pub(super) fn take() -> Box<State> {
    let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
    pooled.unwrap_or_default()
}

/// Puts the box of a state into the pool of this thread.
#[cold]
pub(super) fn put_back(mut state: Box<State>) {
    // Dropped before the pool is borrowed: the user's functions may be, too.
    state.clear();
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < MAX_POOLED {
            pool.push(state);
        }
    });
}
