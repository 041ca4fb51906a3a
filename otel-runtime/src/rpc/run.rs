//! Running code inside a call: [`inside`] in general, and forms of it for callers that know more.

use opentelemetry::Context;

use super::active_call::{ActiveCall, LateStart, start_at_end};
use super::call::Call;
use super::current::{self, Attached};
use super::late_context::LateContext;
use crate::grpc::outcome::Outcome;
use crate::grpc::side::{Role, Server, Side};
use crate::guard::CaughtPanic;

/// Runs code inside a call: in its context, and, on a server, with the call as the current one.
///
/// A client's call hides the current one instead: a service that it calls within this process
/// serves a call of its own. A panic ends the call, and continues. On a thread that is ending, the
/// code may run without either.
#[inline]
pub(crate) fn inside<R: Role>(call: &mut Option<ActiveCall>, code: impl FnOnce()) {
    let code = |(): &mut ()| code();
    let then = |(): &mut (), _: &mut _, _attached| {};
    match R::SIDE {
        Side::Server => inside_with::<R, true, _>(call, &mut (), code, then),
        Side::Client => inside_with::<R, false, _>(call, &mut (), code, then),
    }
}

/// Like [`inside`], and returns the call's context still attached.
///
/// So the end of the call is recorded inside of it. Attaching it again would cost 170 instructions.
#[inline]
pub(crate) fn inside_attached<R: Role>(call: &mut Option<ActiveCall>, code: impl FnOnce()) -> Attached {
    let mut kept = None;
    // Forgets the `None`, which an assignment would drop.
    let keep = |kept: &mut Attached, _: &mut _, attached| std::mem::forget(std::mem::replace(kept, attached));
    match R::SIDE {
        Side::Server => inside_with::<R, true, _>(call, &mut kept, |_| code(), keep),
        Side::Client => inside_with::<R, false, _>(call, &mut kept, |_| code(), keep),
    }
    kept
}

/// Runs code inside a call to start it, whose `tracing` span has been [entered](current::enter).
#[inline]
pub(crate) fn to_start<R: Role>(call: &mut Option<ActiveCall>, code: impl FnOnce()) {
    inside_with::<R, false, _>(call, &mut (), |()| code(), |(), _, _attached| {});
}

/// Like [`inside`], for the call of a handler without a layer. Calls `then` while the context of
/// the call is still attached.
///
/// Both closures get `state`: what the code returns is not copied into it.
#[inline]
pub(crate) fn handler<T>(
    call: &mut Option<ActiveCall>,
    state: &mut T,
    code: impl FnOnce(&mut T),
    then: impl FnOnce(&T, &mut Option<ActiveCall>),
) {
    inside_with::<Server, false, T>(call, state, code, |state, call, _attached| then(state, call));
}

/// Runs code inside the call of a handler without a layer, which has no `tracing` span. Returns the
/// call's context still attached.
///
/// Compiled once instead of once per closure: for the handlers of all methods.
#[inline(never)]
pub(crate) fn handler_dyn(call: &mut Option<ActiveCall>, code: &mut dyn FnMut()) -> Attached {
    let mut kept = None;
    inside_with::<Server, false, _>(call, &mut kept, |_| code(), |kept, _, attached| *kept = attached);
    kept
}

/// Runs a handler inside the call of a layer, which is the current one.
///
/// A panic ends the call here, since another layer may catch it before it reaches ours.
#[inline(never)]
pub(crate) fn in_layer(code: &mut dyn FnMut()) {
    if let Err(panic) = CaughtPanic::catch(code) {
        if current::with_recorded(Call::set_panicked).is_some() {
            panic.log();
            current::take_recorded(|call| {
                // Another layer may have attached a context of its own.
                let _attached = call.attach();
                call.end(Outcome::panic(panic.message()));
            });
        }
        panic.resume();
    }
}

/// Runs code in the context of a client's call, which hides the call that this thread serves.
pub(crate) fn in_client_context(context: &Context, code: impl FnOnce()) {
    let _attached = current::attach(context);
    if let Err(panic) = swapped(&mut None, code) {
        panic.resume();
    }
}

/// Runs code inside a call, and hands the context, still attached, to `then`. Enters a `tracing`
/// span only if it may have to.
#[inline]
fn inside_with<R: Role, const MAY_ENTER_SPAN: bool, T>(
    call: &mut Option<ActiveCall>,
    state: &mut T,
    code: impl FnOnce(&mut T),
    then: impl FnOnce(&mut T, &mut Option<ActiveCall>, Attached),
) {
    let Some(active) = call else {
        code(state);
        return then(state, call, None);
    };
    // Read before the context is attached, since both are read from the same place.
    let has_span = MAY_ENTER_SPAN && active.tracing_span().is_some();
    let mut attached = active.context().and_then(current::attach);
    if has_span {
        current::enter_span(active);
    }
    let result = match R::SIDE {
        Side::Server => swapped(call, || code(state)),
        Side::Client => swapped(&mut None, || code(state)),
    };
    match result {
        Ok(false) => {}
        Ok(true) => exit_late(call.as_ref(), &mut attached),
        Err(panic) => on_panic(call, panic, attached),
    }
    then(state, call, attached);
}

/// Runs code while this thread serves `call`, or no call if the thread is ending.
///
/// Returns whether this thread has late contexts.
#[inline]
fn swapped(call: &mut Option<ActiveCall>, code: impl FnOnce()) -> Result<bool, CaughtPanic> {
    let _ = current::swap(call);
    let result = CaughtPanic::catch(code);
    let has_late = current::swap(call);
    result.map(|()| has_late)
}

/// Exits the `tracing` span of `call`. If the call started late, its context is `attached` now.
#[cold]
#[inline(never)]
fn exit_late(call: Option<&ActiveCall>, attached: &mut Attached) {
    if let Some(late) = current::take_late(call).and_then(LateContext::exit) {
        *attached = Some(late);
    }
}

/// Ends a call whose code has panicked, and continues the panic. The call's context is `attached`.
#[cold]
fn on_panic(call: &mut Option<ActiveCall>, panic: CaughtPanic, attached: Attached) -> ! {
    let late = current::take_late(call.as_ref());
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
        let _attached = call.attach();
        call.end(Outcome::panic(panic.message()));
    }
    panic.resume()
}
