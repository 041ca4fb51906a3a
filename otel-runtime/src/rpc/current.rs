//! The call that this thread is executing.
//!
//! While the code of a call runs, its [`ActiveCall`] is not in the future or body that owns it but
//! in a thread-local, so that whatever runs inside finds it without a lock or a reference count.
//!
//! Foreign code is never called while the thread-local is borrowed: it might start a call in turn.

use std::cell::RefCell;

use opentelemetry::{Context, ContextGuard, KeyValue};

use super::call::Call;
use super::pool::PooledCall;
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
        }
    }

    /// Swaps the call that this thread serves with another.
    #[inline]
    fn swap(&self, call: &mut Option<ActiveCall>) {
        std::mem::swap(&mut *self.call.borrow_mut(), call);
    }
}

/// A call that has started and not ended.
#[derive(Debug)]
pub enum ActiveCall {
    Recorded(PooledCall),
    /// A call that is not recorded: a filter rejected it, or it is an OTLP export of this host.
    Unrecorded(Box<UnrecordedCall>),
}

/// A call that has no span and no metrics, but a context to run in.
#[derive(Debug)]
pub struct UnrecordedCall {
    path: Box<str>,
    context: Context,
}

impl UnrecordedCall {
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl ActiveCall {
    /// A call that a filter rejected. The caller's trace continues through it.
    pub(crate) fn filtered(path: &str, context: Context) -> Self {
        ActiveCall::Unrecorded(Box::new(UnrecordedCall {
            path: Box::from(path),
            context,
        }))
    }

    /// An OTLP export of this host. Recording it would produce the next export, so telemetry is
    /// suppressed.
    pub(crate) fn local_export(path: &str) -> Self {
        ActiveCall::filtered(path, Context::current().with_telemetry_suppressed())
    }

    /// Returns the call, if it is recorded.
    #[inline]
    pub(crate) fn recorded(&mut self) -> Option<&mut Call> {
        match self {
            ActiveCall::Recorded(call) => Some(call),
            ActiveCall::Unrecorded(_) => None,
        }
    }

    /// Returns the path of the request, if it is known.
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            ActiveCall::Recorded(call) => call.path(),
            ActiveCall::Unrecorded(unrecorded) => Some(&unrecorded.path),
        }
    }

    /// Attaches the call's context, if it has one and if the thread [can](attach).
    #[inline]
    pub(crate) fn attach(&self) -> Option<ContextGuard> {
        self.context().and_then(attach)
    }

    #[inline]
    fn context(&self) -> Option<&Context> {
        match self {
            ActiveCall::Recorded(call) => call.context(),
            ActiveCall::Unrecorded(unrecorded) => Some(&unrecorded.context),
        }
    }
}

/// Attaches a context, unless the thread is ending and has dropped its current context.
#[inline]
pub(crate) fn attach(context: &Context) -> Option<ContextGuard> {
    let has_context = CURRENT.try_with(|current| current.has_context).unwrap_or(false);
    has_context.then(|| context.clone().attach())
}

/// Returns `true` if this thread serves a call with this path.
pub(crate) fn is_current(path: &str) -> bool {
    with_current(|current| current.as_ref().is_some_and(|call| call.path() == Some(path))).unwrap_or(false)
}

/// Like [`run`] on a server, but compiled once instead of once per closure: for the handlers of all
/// methods.
pub(crate) fn run_dyn(call: &mut Option<ActiveCall>, code: &mut dyn FnMut()) {
    run::<Server, _>(call, code);
}

/// Runs code inside a call: in its context, and, on a server, with the call as the current one.
///
/// A client's call hides the current one instead: a service that it calls within this process
/// serves a call of its own. A panic ends the call, and continues. On a thread that is ending, the
/// code may run without either.
#[inline]
pub(crate) fn run<R: Role, T>(call: &mut Option<ActiveCall>, code: impl FnOnce() -> T) -> T {
    let Some(active) = call else {
        return code();
    };
    let attached = active.attach();
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
    swap(call);
    let result = CaughtPanic::catch(code);
    swap(call);
    result
}

/// Swaps the call that this thread serves with another, unless the thread is ending.
#[inline]
fn swap(call: &mut Option<ActiveCall>) {
    let _ = CURRENT.try_with(|current| current.swap(call));
}

/// Runs code in the context of a client's call, which hides the call that this thread serves.
pub(crate) fn run_in_client_context<T>(context: &Context, code: impl FnOnce() -> T) -> T {
    let _attached = attach(context);
    match run_swapped(&mut None, code) {
        Ok(result) => result,
        Err(panic) => panic.resume(),
    }
}

/// Ends a call whose code has panicked, and continues the panic.
#[cold]
fn on_panic(call: &mut Option<ActiveCall>, panic: CaughtPanic, attached: Option<ContextGuard>) -> ! {
    if let Some(call) = call.as_mut().and_then(ActiveCall::recorded) {
        // Logged before the context is detached, so that the record belongs to the trace. The
        // channel's code is not this program's service, so a client only records the outcome.
        if call.side() == Side::Server {
            panic.log();
        }
        drop(attached);
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
