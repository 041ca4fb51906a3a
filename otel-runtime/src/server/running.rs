//! The RPC that this thread is running.
//!
//! While an RPC runs, it is here and not in the future or the body that it belongs to. So whatever is called inside finds it, and there is neither a lock nor a counter to it.

use std::cell::RefCell;

use opentelemetry::Context;

use crate::call::Call;
use crate::panic::Panic;
use crate::status::Outcome;

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// What a thread is running.
#[derive(Debug)]
pub(super) enum Running {
    /// An RPC that is recorded.
    Call(Box<Call>),
    /// An RPC with this path that its filter leaves out.
    Ignored(Box<str>),
}

impl Running {
    fn context(&self) -> Option<&Context> {
        match self {
            Running::Call(call) => Some(call.context()),
            Running::Ignored(_) => None,
        }
    }
}

/// Runs the service's own code inside the RPC in `place`, if there is one. A panic ends the RPC and goes on.
///
/// Not generic, so that it is compiled once and not again for the handler of each method.
pub(super) fn run(place: &mut Option<Running>, run: &mut dyn FnMut()) {
    let Some(running) = place.as_ref() else {
        return run();
    };
    let result = {
        let _current = running.context().cloned().map(Context::attach);
        swap(place);
        let result = Panic::catch(run);
        swap(place);
        if let (Err(panic), Some(Running::Call(_))) = (&result, &*place) {
            panic.log();
        }
        result
    };
    if let Err(panic) = result {
        if let Some(Running::Call(call)) = place {
            call.end(Outcome::panicked(panic.message()));
        }
        panic.resume()
    }
}

/// Runs what is no part of the RPC that this thread is running.
pub(crate) fn outside(run: &mut dyn FnMut()) -> Result<(), Panic> {
    let mut nothing = None;
    swap(&mut nothing);
    let result = Panic::catch(run);
    swap(&mut nothing);
    result
}

/// Puts what is in `place` into the thread's, and what was there into `place`. A thread that is ending has none.
fn swap(place: &mut Option<Running>) {
    let _ = RUNNING.try_with(|running| std::mem::swap(&mut *running.borrow_mut(), place));
}

/// Asks what this thread is running. `ask` must not run anybody's code: it would find the thread's place taken.
pub(super) fn with<T>(ask: impl FnOnce(Option<&mut Running>) -> T) -> Option<T> {
    RUNNING.try_with(|running| ask(running.borrow_mut().as_mut())).ok()
}

/// The RPC that this thread is running, if it is recorded.
pub(super) fn with_call<T>(ask: impl FnOnce(&mut Call) -> T) -> Option<T> {
    with(|running| match running {
        Some(Running::Call(call)) => Some(ask(call)),
        _ => None,
    })
    .flatten()
}

/// The context of the RPC that this thread is running, if it has a span.
pub(super) fn context() -> Option<Context> {
    with_call(|call| call.has_span().then(|| call.context().clone())).flatten()
}
