//! The call that this thread is executing.
//!
//! While the code of a call runs, its [`ActiveCall`] is not in the future or body that owns it but
//! in a thread-local, so that whatever runs inside finds it without a lock or a reference count.
//!
//! Foreign code is never called while the thread-local is borrowed: it might start a call in turn.

use std::cell::RefCell;

use opentelemetry::{Context, ContextGuard, KeyValue};

use super::active_call::{ActiveCall, LateStart, start_at_end};
use super::call::Call;
use super::late_context::{LateContext, LateContexts};
use crate::grpc::outcome::Outcome;
use crate::grpc::side::{Role, Server, Side};
use crate::guard::CaughtPanic;
use crate::span;

thread_local! {
    // Not `const`: see `ThreadCall::new`.
    static CURRENT: ThreadCall = ThreadCall::new();
}

/// The state of a thread.
struct ThreadCall {
    /// The call that this thread serves. A client's call is never here: see [`run`].
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
    fn attach(&self, context: &Context) -> Option<ContextGuard> {
        self.has_context.then(|| context.clone().attach())
    }

    /// Attaches the context of `call` until [`run`] returns, and enters its `tracing` span.
    #[cold]
    fn attach_late(&self, call: &ActiveCall) {
        let attached = call.context().and_then(|context| self.attach(context));
        self.late.enter(call, attached);
    }
}

/// Attaches a context, unless the thread is ending and has dropped its current context.
#[inline]
pub(crate) fn attach(context: &Context) -> Option<ContextGuard> {
    let attached = CURRENT.try_with(|current| current.attach(context));
    attached.unwrap_or_default()
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

/// Starts the current call, which is deferred, and attaches its context until [`run`] returns.
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

/// Like [`run_handler`], but compiled once instead of once per closure: for the handlers of all
/// methods.
#[inline(never)]
pub(crate) fn run_dyn(call: &mut Option<ActiveCall>, code: &mut dyn FnMut()) {
    run_handler(call, code);
}

/// Runs code inside the call of a handler without a layer, which has no `tracing` span.
#[inline]
pub(crate) fn run_handler<T>(call: &mut Option<ActiveCall>, code: impl FnOnce() -> T) -> T {
    run_in::<Server, false, T>(call, code)
}

/// Runs a handler inside the call of a layer, which is the current one.
///
/// A panic ends the call here, since another layer may catch it before it reaches ours.
#[inline(never)]
pub(crate) fn run_in_layer(code: &mut dyn FnMut()) {
    if let Err(panic) = CaughtPanic::catch(code) {
        if with_recorded(Call::set_panicked).is_some() {
            panic.log();
            take_recorded(|call| call.end(Outcome::panic(panic.message())));
        }
        panic.resume();
    }
}

/// Runs code inside a call: in its context, and, on a server, with the call as the current one.
///
/// A client's call hides the current one instead: a service that it calls within this process
/// serves a call of its own. A panic ends the call, and continues. On a thread that is ending, the
/// code may run without either.
#[inline]
pub(crate) fn run<R: Role, T>(call: &mut Option<ActiveCall>, code: impl FnOnce() -> T) -> T {
    match R::SIDE {
        Side::Server => run_in::<R, true, T>(call, code),
        Side::Client => run_in::<R, false, T>(call, code),
    }
}

/// Like [`run`], but enters a `tracing` span only if it may have to.
#[inline]
pub(crate) fn run_in<R: Role, const MAY_ENTER_SPAN: bool, T>(
    call: &mut Option<ActiveCall>,
    code: impl FnOnce() -> T,
) -> T {
    let Some(active) = call else {
        return code();
    };
    // Read before the context is attached, since both are read from the same place.
    let has_span = MAY_ENTER_SPAN && active.tracing_span().is_some();
    let attached = active.context().and_then(attach);
    if has_span {
        enter_span(active);
    }
    let result = match R::SIDE {
        Side::Server => run_swapped(call, code),
        Side::Client => run_swapped(&mut None, code),
    };
    match result {
        Ok(result) => result,
        Err(panic) => on_panic(call, panic, attached),
    }
}

/// Runs code while this thread serves `call`, or no call if the thread is ending.
#[inline]
fn run_swapped<T>(call: &mut Option<ActiveCall>, code: impl FnOnce() -> T) -> Result<T, CaughtPanic> {
    let _ = CURRENT.try_with(|current| current.swap(call));
    let result = CaughtPanic::catch(code);
    let has_late = CURRENT.try_with(|current| {
        current.swap(call);
        current.late.has_any()
    });
    if let (Ok(true), Ok(_)) = (has_late, &result) {
        exit_late(call.as_ref());
    }
    result
}

/// Runs code in the context of a client's call, which hides the call that this thread serves.
pub(crate) fn run_in_client_context<T>(context: &Context, code: impl FnOnce() -> T) -> T {
    let _attached = attach(context);
    match run_swapped(&mut None, code) {
        Ok(result) => result,
        Err(panic) => panic.resume(),
    }
}

/// Enters the `tracing` span of a call, if it has one, until [`run`] or [`run_in`] returns.
///
/// Exits like a late context, whose flag `run` reads anyway: a guard in `run` would cost each poll.
#[cold]
#[inline(never)]
pub(crate) fn enter(call: &ActiveCall) {
    if call.tracing_span().is_some() {
        enter_span(call);
    }
}

#[cold]
#[inline(never)]
fn enter_span(call: &ActiveCall) {
    let _ = CURRENT.try_with(|current| current.late.enter(call, None));
}

/// Takes the current call, which starts anew as another one, and exits its `tracing` span.
#[cold]
pub(crate) fn take_restarted() -> Option<ActiveCall> {
    let call = with_current(Option::take).flatten()?;
    exit_late(Some(&call));
    Some(call)
}

/// Detaches the context that has been attached for `call`, if it started late.
#[cold]
#[inline(never)]
fn exit_late(call: Option<&ActiveCall>) {
    drop(take_late(call));
}

/// Takes the context that has been attached for `call`, if it started late.
fn take_late(call: Option<&ActiveCall>) -> Option<LateContext> {
    let late = CURRENT.try_with(|current| current.late.take(call));
    late.unwrap_or_default()
}

/// Ends a call whose code has panicked, and continues the panic. The call's context is `attached`.
#[cold]
fn on_panic(call: &mut Option<ActiveCall>, panic: CaughtPanic, attached: Option<ContextGuard>) -> ! {
    let late = take_late(call.as_ref());
    if matches!(call, Some(ActiveCall::Deferred(_))) {
        start_at_end(call, LateStart::default());
    }
    if let Some(call) = call.as_mut().and_then(ActiveCall::recorded) {
        // Logged before the context is detached, so that the record belongs to the trace. The
        // channel's code is not this program's service, so a client only records the outcome.
        if call.side() == Side::Server && !call.has_panicked() {
            panic.log();
        }
        drop((late, attached));
        call.end(Outcome::panic(panic.message()));
    }
    panic.resume()
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
        Ok(Some(ActiveCall::Recorded(call))) => call.known_method(),
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
pub(crate) fn set_attributes<I>(attributes: impl FnOnce() -> I)
where
    I: IntoIterator<Item = KeyValue>,
{
    let context = with_recorded(|call| call.recording_context().cloned());
    if let Some(context) = context.flatten() {
        span::set_attributes(&context, attributes);
    }
}
