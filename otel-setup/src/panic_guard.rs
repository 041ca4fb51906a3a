//! Catches panics of the program's samplers, processors and views, which the SDK calls, and of its
//! subscriber.
//!
//! A panic would unwind into whatever starts a span, logs an event or builds an instrument: into a
//! handler, whose RPC fails then, or through a lock of `tracing-opentelemetry`, which is poisoned.
//! As the span is dropped, that lock panics once more, and the process aborts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::threads;

pub(crate) static SAMPLER: PanicGuard =
    PanicGuard::new("the sampler panicked, so spans follow their parent's decision");
pub(crate) static SPAN_PROCESSOR: PanicGuard =
    PanicGuard::new("a span processor or the sampler panicked, so spans are lost or incomplete");
pub(crate) static LOG_PROCESSOR: PanicGuard =
    PanicGuard::new("a log processor panicked, so log records are lost or incomplete");
pub(crate) static FIELD: PanicGuard =
    PanicGuard::new("the Debug or Display of a field panicked, so fields or log records are lost or incomplete");
pub(crate) static SUBSCRIBER: PanicGuard = PanicGuard::new("the subscriber panicked, so a warning is lost");
pub(crate) static VIEW: PanicGuard = PanicGuard::new("a view panicked, so an instrument measures nothing");

/// A guard around one kind of foreign code.
#[derive(Debug)]
pub(crate) struct PanicGuard {
    effect: &'static str,
    is_logged: AtomicBool,
}

impl PanicGuard {
    const fn new(effect: &'static str) -> Self {
        PanicGuard {
            effect,
            is_logged: AtomicBool::new(false),
        }
    }

    /// Runs foreign code. A panic is `None`, and is logged once.
    pub(crate) fn run<T>(&'static self, work: impl FnOnce() -> T) -> Option<T> {
        let (mut work, mut value) = (Some(work), None);
        self.run_dyn(&mut || value = work.take().map(|work| work()));
        value
    }

    /// Compiled once, not for each kind of work.
    fn run_dyn(&'static self, work: &mut dyn FnMut()) {
        if panics(work) {
            self.log();
        }
    }

    #[cold]
    fn log(&'static self) {
        if self.is_logged.swap(true, Ordering::Relaxed) {
            return;
        }
        // This thread may be inside of a subscriber, which takes no further event then.
        let log = || tracing::error!(target: "otel_setup", "{} (logged once)", self.effect);
        drop(threads::spawn("otel-log", Box::new(log)));
    }
}

/// Runs foreign code, and returns whether it panics. Compiled once, not for each kind of work.
pub(crate) fn panics(work: &mut dyn FnMut()) -> bool {
    let caught = catch_unwind(AssertUnwindSafe(work));
    // Dropping a payload may panic again.
    caught.map_err(std::mem::forget).is_err()
}
