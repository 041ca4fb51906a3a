//! The RPC that this thread is running.
//!
//! While an RPC runs, it is here and not in the future or the body that it belongs to. So whatever is called inside finds it, and there is neither a lock nor a counter to it.

use std::cell::RefCell;

use opentelemetry::{Context, ContextGuard, KeyValue};

use super::slot::Slot;
use crate::call::{self, Running as RunningCall};
use crate::panic::{self, Panic};
use crate::status::Outcome;

thread_local! {
    static THREAD: RefCell<Thread> = const { RefCell::new(Thread { running: None, entered: None }) };
}

/// What a thread is at.
struct Thread {
    running: Option<Running>,
    entered: Option<Entered>,
}

/// What a thread is running.
#[derive(Debug)]
pub(super) enum Running {
    /// An RPC that is recorded.
    Call(RunningCall),
    /// One that is not.
    LeftOut(Box<LeftOut>),
}

/// An RPC with this path that is not recorded, and the context that it runs in all the same.
#[derive(Debug)]
pub(super) struct LeftOut {
    pub(super) path: Box<str>,
    context: Context,
}

impl Running {
    /// An RPC that a filter leaves out. The caller's trace goes on through it.
    pub(super) fn left_out(path: &str, caller: Context) -> Self {
        Running::LeftOut(Box::new(LeftOut {
            path: Box::from(path),
            context: caller,
        }))
    }

    /// An export of what this process has recorded. Whatever was recorded in there would be one more to export, so telemetry is suppressed.
    pub(super) fn own_export(path: &str) -> Self {
        Running::left_out(path, Context::current().with_telemetry_suppressed())
    }

    /// The path of its request, as far as it is known.
    fn path(&self) -> Option<&str> {
        match self {
            Running::Call(call) => call.path(),
            Running::LeftOut(left_out) => Some(&left_out.path),
        }
    }

    /// Makes its context the current one, if it has one of its own.
    fn attach(&self) -> Option<ContextGuard> {
        let context = match self {
            Running::Call(call) => call.context(),
            Running::LeftOut(left_out) => Some(&left_out.context),
        };
        context.map(|context| context.clone().attach())
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
    let current = running.attach();
    if let Err(panic) = inside(place, run) {
        panicked(place, panic, current);
    }
}

/// The same for what a layer runs, of which there is one in a program: compiled for it alone, so that what it gives is moved about less.
#[inline]
pub(super) fn run_alone<T>(place: &mut Option<Running>, run: impl FnOnce() -> T) -> T {
    let Some(running) = place.as_ref() else {
        return run();
    };
    let current = running.attach();
    match inside(place, run) {
        Ok(result) => result,
        Err(panic) => panicked(place, panic, current),
    }
}

/// Ends an RPC whose code has panicked. The panic goes on.
#[cold]
fn panicked(place: &mut Option<Running>, panic: Panic, current: Option<ContextGuard>) -> ! {
    if let Some(Running::Call(call)) = place {
        panic.log();
        drop(current);
        call.end(Outcome::panicked(panic.message()));
    }
    panic.resume()
}

/// An RPC that this thread has entered and not left. Where the code that runs in there is not called from here, as that is which [`run`] runs, what that keeps on its stack is kept here.
struct Entered {
    slot: Slot,
    /// What the thread was running before. Where the RPC is not the handler's own, it runs that still.
    outer: Option<Running>,
    current: Option<ContextGuard>,
    was_panicking: bool,
    /// The one that was entered before, and not left.
    before: Option<Box<Entered>>,
}

/// What is left of one when the thread has left it.
struct Left {
    slot: Slot,
    current: Option<ContextGuard>,
    was_panicking: bool,
}

/// Makes an RPC what this thread runs, until [`exit`]. Where it is not the handler's own, it is that already.
pub(super) fn enter(mut slot: Slot) {
    let running = slot.take_running();
    let current = running.as_ref().and_then(Running::attach);
    let _ = THREAD.try_with(|thread| {
        let thread = &mut *thread.borrow_mut();
        let outer = running.and_then(|running| thread.running.replace(running));
        thread.entered = Some(Entered {
            slot,
            outer,
            current,
            was_panicking: std::thread::panicking(),
            before: thread.entered.take().map(Box::new),
        });
    });
}

/// Leaves the RPC that was entered last. Its context is current for as long as its guard lives.
#[inline]
fn exit() -> Option<Left> {
    THREAD.try_with(|thread| thread.borrow_mut().exit()).ok()?
}

impl Thread {
    // In each of its two places it is a few moves of what is at hand there.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn exit(&mut self) -> Option<Left> {
        let Entered {
            mut slot,
            outer,
            current,
            was_panicking,
            before,
        } = self.entered.take()?;
        if let Some(before) = before {
            self.entered = Some(*before);
        }
        if slot.is_own() {
            let running = std::mem::replace(&mut self.running, outer);
            slot.put_running(running);
        }
        Some(Left {
            slot,
            current,
            was_panicking,
        })
    }
}

/// Runs what [enters](enter) an RPC by itself, and leaves that. A panic ends the RPC and goes on.
pub(super) fn run_to_start(run: &mut dyn FnMut()) -> Slot {
    let before = THREAD.try_with(|thread| {
        let entered = &mut thread.borrow_mut().entered;
        // There is none, but where a handler calls another.
        if entered.is_some() { entered.take() } else { None }
    });
    let result = Panic::catch(run);
    let left = THREAD.try_with(|thread| {
        let mut thread = thread.borrow_mut();
        let left = thread.exit();
        if let Ok(Some(before)) = before {
            thread.entered = Some(before);
        }
        left
    });
    let Ok(Some(Left { mut slot, current, .. })) = left else {
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

    let Some(Left {
        mut slot,
        current,
        was_panicking,
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
#[inline]
pub(crate) fn outside<T>(run: impl FnOnce() -> T) -> Result<T, Panic> {
    inside(&mut None, run)
}

/// Runs something while what is in `place` is what the thread runs. A thread that is ending runs nothing.
#[inline]
fn inside<T>(place: &mut Option<Running>, run: impl FnOnce() -> T) -> Result<T, Panic> {
    let swap = |place: &mut _| THREAD.try_with(|thread| std::mem::swap(&mut thread.borrow_mut().running, place));
    let is_in = swap(place).is_ok();
    let result = Panic::catch(run);
    if is_in {
        let _ = swap(place);
    }
    result
}

/// Asks what this thread is running. `ask` must not run anybody's code: it would find the thread's place taken.
pub(super) fn with<T>(ask: impl FnOnce(&mut Option<Running>) -> T) -> Option<T> {
    THREAD.try_with(|thread| ask(&mut thread.borrow_mut().running)).ok()
}

/// The RPC that this thread is running, if it is recorded.
pub(super) fn with_call<T>(ask: impl FnOnce(&mut call::Call) -> T) -> Option<T> {
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
    let context = with_call(|call| call.recording().cloned());
    if let Some(context) = context.flatten() {
        call::set_attributes(&context, make);
    }
}
