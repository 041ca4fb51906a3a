//! A per-thread pool of boxes for calls, so that a call allocates nothing for its state.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::call::{Call, CallParams};
use crate::clock::Instant;
use crate::grpc::deadline::Deadline;

/// Number of empty boxes that a thread keeps.
const MAX_POOLED: usize = 32;

thread_local! {
    // The pool holds empty boxes (`None`), to reuse their allocation.
    #[allow(clippy::vec_box)]
    static POOL: RefCell<Vec<Box<Option<Call>>>> = const { RefCell::new(Vec::new()) };
}

/// A [`Call`] in a box that returns to the pool when the call is dropped.
#[derive(Debug)]
pub struct PooledCall(Option<Box<Option<Call>>>);

impl PooledCall {
    /// Starts the clock of a call, and counts it among the active requests.
    #[inline]
    pub(crate) fn new(params: CallParams, timeout: Option<Duration>) -> Self {
        let adds_active_later = params.adds_active_later;
        let started_at = params.arrived.unwrap_or_else(Instant::now);
        // Before the call is constructed: a panic in between would need a copy of `params`.
        let deadline = timeout.and_then(|timeout| Deadline::new(params.method.side(), timeout, params.arrived));
        let mut empty = match POOL.try_with(|pool| pool.borrow_mut().pop()) {
            Ok(Some(empty)) => empty,
            _ => Box::new(None),
        };
        // Forgets the `None`, which an assignment would drop: saves 20 instructions.
        std::mem::forget(empty.replace(Call::new(params, deadline, started_at)));
        let call = PooledCall(Some(empty));
        if !adds_active_later {
            call.add_active();
        }
        call
    }
}

const IN_ITS_BOX: &str = "a call stays in its box until the box is dropped";

impl Deref for PooledCall {
    type Target = Call;

    #[inline]
    fn deref(&self) -> &Call {
        self.0.as_deref().and_then(Option::as_ref).expect(IN_ITS_BOX)
    }
}

impl DerefMut for PooledCall {
    #[inline]
    fn deref_mut(&mut self) -> &mut Call {
        self.0.as_deref_mut().and_then(Option::as_mut).expect(IN_ITS_BOX)
    }
}

impl Drop for PooledCall {
    fn drop(&mut self) {
        if let Some(mut call) = self.0.take() {
            *call = None;
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < MAX_POOLED {
                    pool.push(call);
                }
            });
        }
    }
}
