//! The call that this thread is executing.
//!
//! While the code of a call runs, its [`ActiveCall`] is not in the future or body that owns it but
//! in a thread-local, so that whatever runs inside finds it without a lock or a reference count.
//!
//! Foreign code is never called while the thread-local is borrowed: it might start a call in turn.

use std::cell::RefCell;
use std::fmt;

use opentelemetry::{Context, ContextGuard, KeyValue};

use super::call::Call;
use super::origin::RequestOrigin;
use super::pool::PooledCall;
use crate::grpc::outcome::Outcome;
use crate::grpc::side::{Role, Server, Side};
use crate::guard::CaughtPanic;
use crate::span;

thread_local! {
    /// The call that this thread serves. A client's call is never here: see [`run`].
    static CURRENT: RefCell<Option<ActiveCall>> = const { RefCell::new(None) };

    /// The context of a [`DeferredCall`] that started while it ran, attached until [`run`] returns.
    static LATE_CONTEXT: RefCell<Option<ContextGuard>> = const { RefCell::new(None) };
}

/// A call that has started and not ended.
#[derive(Debug)]
pub enum ActiveCall {
    Recorded(PooledCall),
    /// A call that is not recorded: a filter rejected it, or it is an OTLP export of this host.
    Unrecorded(Box<UnrecordedCall>),
    /// A request whose call starts later, if it is one.
    Deferred(Box<DeferredCall>),
}

/// A call that has no span and no metrics, but a context to run in.
#[derive(Debug)]
pub struct UnrecordedCall {
    context: Context,
    origin: RequestOrigin,
    /// Whether a handler serves it.
    is_claimed: bool,
}

impl UnrecordedCall {
    /// Returns `true` if no handler has claimed it.
    pub(crate) fn is_unclaimed(&self) -> bool {
        !self.is_claimed
    }

    /// Lets a handler claim it for its request.
    pub(crate) fn attach_handler(&mut self, origin: RequestOrigin) {
        self.is_claimed = true;
        self.origin = origin;
    }

    pub(crate) fn origin(&self) -> RequestOrigin {
        self.origin
    }
}

/// A request whose call starts later: once it turns out to be gRPC, or once an inner layer has said
/// what it knows.
pub struct DeferredCall {
    origin: RequestOrigin,
    /// Whether the request is gRPC, so that it has a call however it ends.
    is_grpc: bool,
    start: Box<dyn FnOnce(Found) -> ActiveCall + Send + Sync>,
}

/// Facts that are known of a deferred call when it starts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    /// Whether it has reached a service.
    pub(crate) has_service: bool,
    /// The word of another layer that it has reached.
    pub(crate) inner_layer: Option<InnerWord>,
}

/// The word of an inner layer on a call that an outer one has deferred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InnerWord {
    /// Whether it distrusts the caller.
    pub(crate) is_public: bool,
    /// Whether its filters reject the call.
    pub(crate) is_filtered: bool,
}

impl DeferredCall {
    pub(crate) fn origin(&self) -> RequestOrigin {
        self.origin
    }

    pub(crate) fn is_grpc(&self) -> bool {
        self.is_grpc
    }
}

impl fmt::Debug for DeferredCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeferredCall").finish_non_exhaustive()
    }
}

impl ActiveCall {
    /// A call that a filter rejected. The caller's trace continues through it.
    pub(crate) fn filtered(origin: RequestOrigin, context: Context) -> Self {
        ActiveCall::Unrecorded(Box::new(UnrecordedCall {
            context,
            origin,
            is_claimed: false,
        }))
    }

    /// An OTLP export of this host. Recording it would produce the next export, so telemetry is
    /// suppressed.
    pub(crate) fn local_export(origin: RequestOrigin) -> Self {
        ActiveCall::filtered(origin, Context::current().with_telemetry_suppressed())
    }

    /// A request whose call starts later. `start` makes it.
    pub(crate) fn deferred(
        origin: RequestOrigin,
        is_grpc: bool,
        start: impl FnOnce(Found) -> ActiveCall + Send + Sync + 'static,
    ) -> Self {
        ActiveCall::Deferred(Box::new(DeferredCall {
            origin,
            is_grpc,
            start: Box::new(start),
        }))
    }

    /// Marks a call that is not recorded as one that a handler serves.
    pub(crate) fn claimed(mut self) -> Self {
        if let ActiveCall::Unrecorded(unrecorded) = &mut self {
            unrecorded.is_claimed = true;
        }
        self
    }

    /// Starts the call if it is deferred.
    pub(crate) fn started(self, found: Found) -> Self {
        match self {
            ActiveCall::Deferred(deferred) => (deferred.start)(found),
            started => started,
        }
    }

    /// Returns `true` if a layer has started the call, or deferred it, and no handler claimed it.
    fn is_unclaimed_with(&self, client_mark: usize) -> bool {
        match self {
            ActiveCall::Recorded(call) => call.is_unclaimed() && call.origin().client_mark == client_mark,
            ActiveCall::Unrecorded(call) => call.is_unclaimed() && call.origin.client_mark == client_mark,
            ActiveCall::Deferred(call) => call.origin.client_mark == client_mark,
        }
    }

    /// Returns the call, if it is recorded.
    #[inline]
    pub(crate) fn recorded(&mut self) -> Option<&mut Call> {
        match self {
            ActiveCall::Recorded(call) => Some(call),
            ActiveCall::Unrecorded(_) | ActiveCall::Deferred(_) => None,
        }
    }

    /// Attaches the call's context, if it has one.
    #[inline]
    pub(crate) fn attach(&self) -> Option<ContextGuard> {
        let context = match self {
            ActiveCall::Recorded(call) => call.context(),
            ActiveCall::Unrecorded(unrecorded) => Some(&unrecorded.context),
            ActiveCall::Deferred(_) => None,
        };
        context.map(|context| context.clone().attach())
    }
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

/// Starts a call that nothing has started before its end, if it is gRPC.
#[cold]
pub(crate) fn start_at_end(call: &mut Option<ActiveCall>, found: Found) {
    *call = call.take().and_then(|call| match &call {
        ActiveCall::Deferred(deferred) if !deferred.is_grpc() => None,
        _ => Some(call.started(found)),
    });
}

/// Starts the current call, which is deferred, and attaches its context until [`run`] returns.
#[cold]
pub(crate) fn start_deferred(found: Found) {
    // The thread-local is free while the call starts.
    let Some(call) = with_current(Option::take).flatten() else {
        return;
    };
    let call = call.started(found);
    let context = call.attach();
    with_current(|current| *current = Some(call));
    let _ = LATE_CONTEXT.try_with(|late| late.replace(context));
}

/// Like [`run`] on a server, but compiled once instead of once per closure: for the handlers of all
/// methods.
pub(crate) fn run_dyn(call: &mut Option<ActiveCall>, code: &mut dyn FnMut()) {
    run::<Server, _>(call, code);
}

/// Runs a handler inside the call of a layer, which is the current one.
///
/// A panic ends the call here, since another layer may catch it before it reaches ours.
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
/// serves a call of its own. A panic ends the call, and continues.
#[inline]
pub(crate) fn run<R: Role, T>(call: &mut Option<ActiveCall>, code: impl FnOnce() -> T) -> T {
    let Some(active) = call.as_ref() else {
        return code();
    };
    if matches!(active, ActiveCall::Deferred(_)) {
        return run_deferred(call, code);
    }
    let attached = active.attach();
    let result = match R::SIDE {
        Side::Server => swapped(call, code),
        Side::Client => swapped(&mut None, code),
    };
    match result {
        Ok(result) => result,
        Err(panic) => on_panic(call, panic, attached),
    }
}

/// Runs code in the context of a client's call, which hides the call that this thread serves.
pub(crate) fn run_in_client_context<T>(context: &Context, code: impl FnOnce() -> T) -> T {
    let _attached = context.clone().attach();
    match swapped(&mut None, code) {
        Ok(result) => result,
        Err(panic) => panic.resume(),
    }
}

/// Like [`run`], for a call that may start while the code runs.
#[cold]
fn run_deferred<T>(call: &mut Option<ActiveCall>, code: impl FnOnce() -> T) -> T {
    let outer = LATE_CONTEXT.try_with(RefCell::take).ok().flatten();
    let result = swapped(call, code);
    let attached = LATE_CONTEXT.try_with(|late| late.replace(outer)).ok().flatten();
    match result {
        Ok(result) => result,
        Err(panic) => on_panic(call, panic, attached),
    }
}

/// Runs code while `call` is in the thread-local, and what was there is in `call`.
///
/// On a thread that is shutting down, the code runs without it.
#[inline]
fn swapped<T>(call: &mut Option<ActiveCall>, code: impl FnOnce() -> T) -> Result<T, CaughtPanic> {
    let swap = |call: &mut _| CURRENT.try_with(|current| std::mem::swap(&mut *current.borrow_mut(), call));
    let is_swapped = swap(call).is_ok();
    let result = CaughtPanic::catch(code);
    if is_swapped {
        let _ = swap(call);
    }
    result
}

/// Ends a call whose code has panicked, and continues the panic.
#[cold]
fn on_panic(call: &mut Option<ActiveCall>, panic: CaughtPanic, attached: Option<ContextGuard>) -> ! {
    if matches!(call, Some(ActiveCall::Deferred(_))) {
        start_at_end(call, Found::default());
    }
    if let Some(call) = call.as_mut().and_then(ActiveCall::recorded) {
        // Logged before the context is detached, so that the record belongs to the trace. The
        // channel's code is not this program's service, so a client only records the outcome.
        if call.side() == Side::Server && !call.has_panicked() {
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
    CURRENT.try_with(|current| read(&mut current.borrow_mut())).ok()
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
