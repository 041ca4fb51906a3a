//! The RPC that this thread is running.
//!
//! While an RPC runs, it is here and not in the future or the body that it belongs to. So whatever is called inside finds it, and there is neither a lock nor a counter to it.

use std::cell::RefCell;

use opentelemetry::{Context, ContextGuard};

use super::slot::Slot;
use crate::call::Call;
use crate::panic::{self, Panic};
use crate::status::Outcome;

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// What a thread is running.
#[derive(Debug)]
pub(super) enum Running {
    /// An RPC that is recorded.
    Call(Box<Call>),
    /// An RPC with this path that is not recorded, and the context that it runs in all the same.
    LeftOut(Box<str>, Context),
}

impl Running {
    /// An RPC that a filter leaves out. The caller's trace goes on through it.
    pub(super) fn left_out(path: &str, caller: Context) -> Self {
        Running::LeftOut(Box::from(path), caller)
    }

    /// An export of what this process has recorded. Whatever was recorded in there would be one more to export, so telemetry is suppressed.
    pub(super) fn own_export(path: &str) -> Self {
        Running::LeftOut(Box::from(path), Context::current().with_telemetry_suppressed())
    }

    /// The path of its request, as far as it is known.
    fn path(&self) -> Option<&str> {
        match self {
            Running::Call(call) => call.path(),
            Running::LeftOut(path, _) => Some(path),
        }
    }

    fn context(&self) -> &Context {
        match self {
            Running::Call(call) => call.context(),
            Running::LeftOut(_, context) => context,
        }
    }
}

/// Whether this thread is running an RPC with this path.
pub(super) fn is_running(path: &str) -> bool {
    with(|running| running.as_ref().is_some_and(|running| running.path() == Some(path))).unwrap_or(false)
}

/// Runs the service's own code inside the RPC in `place`, if there is one. A panic ends the RPC and goes on.
///
/// Not generic, so that it is compiled once and not again for the handler of each method.
pub(super) fn run(place: &mut Option<Running>, run: &mut dyn FnMut()) {
    let Some(running) = place.as_ref() else {
        return run();
    };
    let result = {
        let _current = running.context().clone().attach();
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

/// A handler that is being dropped inside its RPC. The code that drops it is not called from here, as that is which [`run`] runs, so what that keeps on its stack is kept here.
struct Dropping {
    /// What the thread was running before.
    outer: Option<Running>,
    current: Option<ContextGuard>,
    was_panicking: bool,
}

thread_local! {
    static DROPPING: RefCell<Vec<Dropping>> = const { RefCell::new(Vec::new()) };
}

/// Makes an RPC what this thread runs, until [`exit_from_drop`].
pub(super) fn enter_to_drop(slot: Slot) {
    let mut running = slot.into_running();
    let current = running.as_ref().map(|running| running.context().clone().attach());
    swap(&mut running);
    let dropping = Dropping {
        outer: running,
        current,
        was_panicking: std::thread::panicking(),
    };
    let _ = DROPPING.try_with(|all| all.borrow_mut().push(dropping));
}

/// Ends the RPC of the handler that has been dropped. If that panicked, what it said is not known here.
pub(super) fn exit_from_drop() {
    const MESSAGE: &str = "the handler panicked while it was dropped";

    let dropping = DROPPING.try_with(|all| all.borrow_mut().pop()).ok().flatten();
    let Some(Dropping {
        outer: mut running,
        current,
        was_panicking,
    }) = dropping
    else {
        return;
    };
    swap(&mut running);
    if let Some(Running::Call(call)) = &mut running
        && std::thread::panicking()
        && !was_panicking
    {
        panic::tell(MESSAGE);
        drop(current);
        call.end(Outcome::panicked(MESSAGE));
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
pub(super) fn with<T>(ask: impl FnOnce(&mut Option<Running>) -> T) -> Option<T> {
    RUNNING.try_with(|running| ask(&mut running.borrow_mut())).ok()
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
