//! Contexts and `tracing` spans that are entered while the code of a call runs.

use std::cell::{Cell, RefCell};

use opentelemetry::ContextGuard;
use tracing::span::EnteredSpan;

use super::active_call::ActiveCall;
use crate::guard;

/// The late contexts of a thread, the innermost last.
#[derive(Default)]
pub(super) struct LateContexts {
    has_any: Cell<bool>,
    contexts: RefCell<Vec<LateContext>>,
}

/// The `tracing` span of a call, and the context of a [deferred](ActiveCall::Deferred) call that
/// started while its code ran. Both last until that code returns.
pub(super) struct LateContext {
    /// The [address](ActiveCall::address) of the call.
    call: usize,
    _entered: Option<Entered>,
    attached: Option<ContextGuard>,
}

/// A `tracing` span until its exit, in which the subscriber may panic.
struct Entered(Option<EnteredSpan>);

impl Drop for Entered {
    fn drop(&mut self) {
        guard::SUBSCRIBER.run(|| drop(self.0.take()));
    }
}

impl LateContext {
    /// Exits the `tracing` span, and returns the context, still attached.
    pub(super) fn exit(self) -> Option<ContextGuard> {
        self.attached
    }
}

impl LateContexts {
    #[inline]
    pub(super) fn has_any(&self) -> bool {
        self.has_any.get()
    }

    /// Enters the `tracing` span of `call`, if it has one, and keeps its context attached.
    #[cold]
    pub(super) fn enter(&self, call: &ActiveCall, attached: Option<ContextGuard>) {
        let span = call.tracing_span();
        let entered = span.map(|span| guard::SUBSCRIBER.run(|| Entered(Some(span.clone().entered()))));
        let late = LateContext {
            call: call.address(),
            _entered: entered.flatten(),
            attached,
        };
        self.contexts.borrow_mut().push(late);
        self.has_any.set(true);
    }

    /// Takes the late context of `call`, if it has one.
    #[cold]
    pub(super) fn take(&self, call: Option<&ActiveCall>) -> Option<LateContext> {
        let mut contexts = self.contexts.borrow_mut();
        let last = contexts.pop_if(|last| call.is_some_and(|call| call.address() == last.call));
        self.has_any.set(!contexts.is_empty());
        last
    }
}
