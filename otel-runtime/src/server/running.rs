//! The RPC that this thread is running.
//!
//! While an RPC runs, it is here and not in the future or the body that it belongs to. So whatever is called inside finds it, and there is neither a lock nor a counter to it.

use std::cell::RefCell;

use opentelemetry::{Context, ContextGuard, KeyValue};

use super::slot::Slot;
use crate::call::{self, Call};
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

/// An RPC that this thread has entered and not left. Where the code that runs in there is not called from here, as that is which [`run`] runs, what that keeps on its stack is kept here.
struct Entered {
    slot: Slot,
    /// What the thread was running before.
    outer: Option<Running>,
    current: Option<ContextGuard>,
    was_panicking: bool,
}

thread_local! {
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

/// Makes an RPC what this thread runs, until [`exit`]. Where it is not the handler's own, it is that already.
pub(super) fn enter(mut slot: Slot) {
    let mut running = slot.take_running();
    let mut current = None;
    if let Some(running) = &running {
        current = Some(running.context().clone().attach());
    }
    if current.is_some() {
        swap(&mut running);
    }
    let entered = Entered {
        slot,
        outer: running,
        current,
        was_panicking: std::thread::panicking(),
    };
    let _ = ENTERED.try_with(|all| all.borrow_mut().push(entered));
}

/// Leaves the RPC that was entered last. Its context is current for as long as its guard lives.
fn exit() -> Option<Entered> {
    let mut entered = ENTERED.try_with(|all| all.borrow_mut().pop()).ok()??;
    if entered.current.is_some() {
        swap(&mut entered.outer);
        entered.slot.put_running(entered.outer.take());
    }
    Some(entered)
}

/// Runs what [enters](enter) an RPC by itself, and leaves that. A panic ends the RPC and goes on.
pub(super) fn run_to_start(run: &mut dyn FnMut()) -> Slot {
    let depth = || ENTERED.try_with(|all| all.borrow().len()).unwrap_or(0);
    let before = depth();
    let result = Panic::catch(run);
    let entered = if depth() > before { exit() } else { None };
    let Some(Entered { mut slot, current, .. }) = entered else {
        return result.map_or_else(|panic| panic.resume(), |()| Slot::Empty);
    };
    match result {
        Ok(()) => slot,
        Err(panic) => {
            if slot.is_own() {
                panic.log();
            }
            drop(current);
            slot.panic(panic.message());
            panic.resume()
        }
    }
}

/// Leaves the RPC that was entered for the drop of its handler, and ends it. If that panicked, what it said is not known here.
pub(super) fn exit_from_drop() {
    const MESSAGE: &str = "the handler panicked while it was dropped";

    let Some(Entered {
        mut slot,
        current,
        was_panicking,
        ..
    }) = exit()
    else {
        return;
    };
    if std::thread::panicking() && !was_panicking {
        panic::tell(MESSAGE);
        drop(current);
        slot.panic(MESSAGE);
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

/// Adds attributes to the span of the RPC that this thread is running, whosever that is, if it records.
pub(super) fn set_attributes<I>(make: impl FnOnce() -> I)
where
    I: IntoIterator<Item = KeyValue>,
{
    let context = with_call(|call| call.has_span().then(|| call.context().clone()));
    if let Some(context) = context.flatten() {
        call::set_attributes(&context, make);
    }
}
