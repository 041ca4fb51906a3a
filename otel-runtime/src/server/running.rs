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
    static THREAD: RefCell<Thread> = const { RefCell::new(Thread { running: None, entered: Vec::new(), has_joined: false }) };
}

/// What a thread is at.
struct Thread {
    running: Option<Running>,
    /// What it has [entered](enter) and not left. Where the code that runs in there is not called from here, as that is which [`run`] runs, what that keeps on its stack is kept here.
    entered: Vec<Entered>,
    /// Whether the handler that is starting has joined a layer's RPC.
    has_joined: bool,
}

/// An RPC that a thread has entered.
struct Entered {
    /// What the thread was running before.
    outer: Option<Running>,
    current: Option<ContextGuard>,
    was_panicking: bool,
}

/// One that it has left. Its context is current for as long as its guard lives.
struct Left {
    running: Option<Running>,
    current: Option<ContextGuard>,
    was_panicking: bool,
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
    #[inline]
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
    run_alone(place, run);
}

/// The same for what a layer runs, of which there is one in a program, and for streams, which run for each message: compiled for it alone, so that what it gives is moved about less.
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

/// Makes an RPC what this thread runs, until [`exit`].
#[inline]
pub(super) fn enter(running: Running) {
    let current = running.attach();
    let _ = THREAD.try_with(|thread| {
        let thread = &mut *thread.borrow_mut();
        let outer = thread.running.replace(running);
        thread.entered.push(Entered {
            outer,
            current,
            was_panicking: std::thread::panicking(),
        });
    });
}

/// Leaves the RPC that was entered last.
#[inline]
fn exit() -> Option<Left> {
    THREAD.try_with(|thread| thread.borrow_mut().exit()).ok()?
}

impl Thread {
    #[inline]
    fn exit(&mut self) -> Option<Left> {
        self.entered.pop().map(|entered| Left {
            running: std::mem::replace(&mut self.running, entered.outer),
            current: entered.current,
            was_panicking: entered.was_panicking,
        })
    }
}

/// Makes the layer's RPC, which this thread is running, that of the handler that is starting.
pub(super) fn join() {
    let _ = THREAD.try_with(|thread| thread.borrow_mut().has_joined = true);
}

/// Runs a handler for the first time. The RPC that it [enters](enter) by itself or [joins](join) is the one that it has from there on. A panic ends the RPC and goes on.
pub(super) fn run_to_start(run: &mut dyn FnMut()) -> Slot {
    let before = THREAD.try_with(|thread| {
        let thread = &mut *thread.borrow_mut();
        (thread.entered.len(), std::mem::take(&mut thread.has_joined))
    });
    let result = Panic::catch(run);
    let mut current = None;
    let slot = THREAD.try_with(|thread| {
        let thread = &mut *thread.borrow_mut();
        let (depth, outer_has_joined) = before.unwrap_or_default();
        let has_joined = std::mem::replace(&mut thread.has_joined, outer_has_joined);
        if thread.entered.len() > depth
            && let Some(left) = thread.exit()
        {
            current = left.current;
            Slot::Own(left.running)
        } else if has_joined {
            Slot::Joined
        } else {
            Slot::Empty
        }
    });
    let mut slot = slot.unwrap_or(Slot::Empty);
    if let Err(panic) = result {
        if slot.is_own() {
            panic.log();
        }
        drop(current);
        slot.panic(panic.message());
        panic.resume()
    }
    slot
}

/// Leaves the RPC that was entered for the drop of its handler, and ends it. If that panicked, what it said is not known here.
pub(super) fn exit_from_drop() {
    const MESSAGE: &str = "the handler panicked while it was dropped";

    let Some(Left {
        running,
        current,
        was_panicking,
    }) = exit()
    else {
        return;
    };
    if std::thread::panicking() && !was_panicking {
        panic::tell(MESSAGE);
        drop(current);
        Slot::Own(running).panic(MESSAGE);
    }
}

/// Asks what this thread is running. `ask` must not run anybody's code: it would find the thread's place taken.
#[inline]
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
