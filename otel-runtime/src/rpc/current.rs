//! The call that this thread is executing.
//!
//! While the code of a call runs, its [`ActiveCall`] is not in the future or body that owns it but
//! in a thread-local, so that whatever runs inside finds it without a lock or a reference count.
//!
//! Foreign code is never called while the thread-local is borrowed: it might start a call in turn.

use std::cell::RefCell;

use opentelemetry::{Context, ContextGuard};

use super::active_call::{ActiveCall, LateStart};
use super::call::Call;
use super::late_context::{LateContext, LateContexts};
use crate::guard::CaughtPanic;
use crate::span::{self, MakeAttributes};

/// The context of a call, attached until this is dropped. `None` if it did not have to be.
pub(crate) type Attached = Option<ContextGuard>;

thread_local! {
    // Not `const`: see `ThreadCall::new`.
    static CURRENT: ThreadCall = ThreadCall::new();
}

/// The state of a thread.
struct ThreadCall {
    /// The call that this thread serves. A client's call is never here: see
    /// [`run::inside`](super::run::inside).
    call: RefCell<Option<ActiveCall>>,
    /// Whether the thread has OpenTelemetry's current context.
    has_context: bool,
    late: LateContexts,
}

impl ThreadCall {
    /// Initializes OpenTelemetry's thread-local before this one.
    ///
    /// A thread that ends drops its thread-locals in the reverse order. So as long as this one is
    /// accessible, OpenTelemetry's is, too, whose functions panic otherwise. It may be gone already
    /// if no call has run on this thread.
    #[cold]
    fn new() -> Self {
        ThreadCall {
            call: RefCell::new(None),
            has_context: CaughtPanic::catch(|| Context::map_current(|_| ())).is_ok(),
            late: LateContexts::default(),
        }
    }

    /// Swaps the call that this thread serves with another.
    #[inline]
    fn swap(&self, call: &mut Option<ActiveCall>) {
        std::mem::swap(&mut *self.call.borrow_mut(), call);
    }

    /// Attaches a context, unless the thread has dropped its current context.
    #[inline]
    fn attach(&self, context: &Context) -> Attached {
        self.has_context.then(|| context.clone().attach())
    }

    /// Attaches the context of `call` until its code returns, and enters its `tracing`
    /// span.
    #[cold]
    fn attach_late(&self, call: &ActiveCall) {
        let attached = call.context().and_then(|context| self.attach(context));
        self.late.enter(call, attached);
    }
}

/// Attaches a context, unless the thread is ending and has dropped its current context.
#[inline]
pub(crate) fn attach(context: &Context) -> Attached {
    let attached = CURRENT.try_with(|current| current.attach(context));
    attached.unwrap_or_default()
}

/// Attaches the context of a call.
pub(crate) fn attach_call(call: &ActiveCall) -> Attached {
    call.context().and_then(attach)
}

/// Swaps the call that this thread serves with another, unless the thread is ending.
///
/// Returns whether this thread has late contexts.
#[inline]
pub(super) fn swap(call: &mut Option<ActiveCall>) -> bool {
    let has_late = CURRENT.try_with(|current| {
        current.swap(call);
        current.late.has_any()
    });
    has_late.unwrap_or(false)
}

/// Returns `true` if this thread serves a call of an outer layer that this request belongs to.
///
/// A request that no handler has claimed is on its way to one, through whatever layers. The
/// [`client_mark`](super::origin::client_mark) tells it from the request of a client within the
/// process.
#[inline]
pub(crate) fn is_of_outer_layer(client_mark: usize) -> bool {
    with_current(|current| current.as_ref().is_some_and(|call| call.is_unclaimed_with(client_mark))).unwrap_or(false)
}

/// Returns `true` if the current call is deferred.
pub(crate) fn is_deferred() -> bool {
    with_current(|current| matches!(current, Some(ActiveCall::Deferred(_)))).unwrap_or(false)
}

/// Starts the current call, which is deferred, and attaches its context until its code returns.
#[cold]
pub(crate) fn start_deferred(late: LateStart) {
    // The thread-local is free while the call starts.
    let Some(call) = with_current(Option::take).flatten() else {
        return;
    };
    let call = call.started(late);
    let _ = CURRENT.try_with(|current| current.attach_late(&call));
    with_current(|current| *current = Some(call));
}

/// Enters the `tracing` span of a call, if it has one, until its code returns.
///
/// Exits like a late context, whose flag each poll reads anyway, which a guard would cost more.
#[cold]
#[inline(never)]
pub(crate) fn enter(call: &ActiveCall) {
    if call.tracing_span().is_some() {
        enter_span(call);
    }
}

#[cold]
#[inline(never)]
pub(super) fn enter_span(call: &ActiveCall) {
    let _ = CURRENT.try_with(|current| current.late.enter(call, None));
}

/// Takes the current call, which starts anew as another one, and exits its `tracing` span.
#[cold]
pub(crate) fn take_restarted() -> Option<ActiveCall> {
    let call = with_current(Option::take).flatten()?;
    drop(take_late(Some(&call)));
    Some(call)
}

/// Takes the context that has been attached for `call`, if it started late.
pub(super) fn take_late(call: Option<&ActiveCall>) -> Option<LateContext> {
    let late = CURRENT.try_with(|current| current.late.take(call));
    late.unwrap_or_default()
}

/// Calls `read` with the call that this thread serves. It must not run foreign code, which would
/// find the thread-local borrowed.
#[inline]
pub(crate) fn with_current<T>(read: impl FnOnce(&mut Option<ActiveCall>) -> T) -> Option<T> {
    CURRENT.try_with(|current| read(&mut current.call.borrow_mut())).ok()
}

/// Returns the method of the call that this thread serves, if that is recorded and known.
///
/// For log lines, which foreign code may write at any time.
pub(super) fn method() -> Option<&'static str> {
    let read = |current: &ThreadCall| match current.call.try_borrow().as_deref() {
        Ok(Some(ActiveCall::Recorded(call))) => call.known_name(),
        _ => None,
    };
    CURRENT.try_with(read).ok().flatten()
}

/// Calls `read` with the call that this thread serves, if that is recorded.
#[inline]
pub(crate) fn with_recorded<T>(read: impl FnOnce(&mut Call) -> T) -> Option<T> {
    with_current(|current| current.as_mut().and_then(ActiveCall::recorded).map(read)).flatten()
}

/// Calls `change` with the call that this thread serves, if that is recorded, while the
/// thread-local is free: unlike [`with_recorded`], `change` may run foreign code.
pub(crate) fn take_recorded(change: impl FnOnce(&mut Call)) {
    let mut taken = with_current(Option::take).flatten();
    if let Some(call) = taken.as_mut().and_then(ActiveCall::recorded) {
        change(call);
    }
    with_current(|current| *current = taken);
}

/// Adds attributes to the span of the call that this thread serves, if it is recording.
pub(crate) fn set_attributes(attributes: MakeAttributes<'_>) {
    let context = with_recorded(|call| call.recording_context().cloned());
    if let Some(context) = context.flatten() {
        span::set_attributes(&context, attributes);
    }
}
