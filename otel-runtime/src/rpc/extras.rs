//! The state of a call for options that are off by default.
//!
//! A call without them has a null pointer instead, so they cost nothing there.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use super::message_sizes::MessageSizes;
use crate::grpc::failures::Failures;
use crate::grpc::outcome::Outcome;
use crate::method::Method;

/// Options of a layer that its calls need until their end.
#[derive(Clone, Default)]
pub(crate) struct CallOptions {
    pub(crate) failures: Option<Failures>,
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
}

impl Extras {
    #[inline]
    pub(crate) fn new(options: Option<&Arc<CallOptions>>, message_sizes: Option<Arc<MessageSizes>>) -> Self {
        if options.is_none() && message_sizes.is_none() {
            return Extras(None);
        }
        Extras::with_state(options.cloned(), message_sizes)
    }

    #[cold]
    fn with_state(options: Option<Arc<CallOptions>>, message_sizes: Option<Arc<MessageSizes>>) -> Self {
        let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        let mut state = pooled.unwrap_or_default();
        *state = State { options, message_sizes };
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
