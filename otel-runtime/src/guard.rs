//! A panic in code that is not this crate's. In the service's own it is seen, told, and passed on; in what telemetry asks of others, it is no matter of the RPC's.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::semconv;

/// What was thrown, on its way through.
pub(crate) struct CaughtPanic(Box<dyn Any + Send>);

impl CaughtPanic {
    /// Runs the service's code. Whatever state a panic leaves behind is for the service's caller to judge: the panic goes on, as it would have consequence us.
    pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Self> {
        catch_unwind(AssertUnwindSafe(run)).map_err(CaughtPanic)
    }

    pub(crate) fn message(&self) -> &str {
        if let Some(message) = self.0.downcast_ref::<&str>() {
            message
        } else if let Some(message) = self.0.downcast_ref::<String>() {
            message
        } else {
            // What std's own hook prints of such a payload.
            "Box<dyn Any>"
        }
    }

    /// [Logs](log_exception) it.
    pub(crate) fn log(&self) {
        log_exception(self.message());
    }

    pub(crate) fn resume(self) -> ! {
        resume_unwind(self.0)
    }
}

/// The conventions' event for a panic, to wherever `tracing` events go. A log bridge makes it a log record of the current context's trace.
///
/// A subscriber that panics in turn must not take the place of the panic it was told of.
pub(crate) fn log_exception(message: &str) {
    let _ = CaughtPanic::catch(|| {
        tracing::event!(
            name: "rpc.server.call.exception",
            tracing::Level::ERROR,
            "exception.type" = semconv::PANIC,
            "exception.message" = message
        );
    });
}

/// What is not this crate's, and is asked while an RPC is recorded: a user's function, a part of an SDK. A panic in there costs the answer, never the RPC.
pub(crate) struct Guard {
    name: &'static str,
    /// What becomes of an RPC consequence the answer.
    consequence: &'static str,
    warned: AtomicBool,
}

pub(crate) static FILTER: Guard = Guard::new("`filter`", "the RPC is recorded");
pub(crate) static PUBLIC_ENDPOINT: Guard = Guard::new("`public_endpoint_if`", "the caller is a stranger");
pub(crate) static SPAN_ATTRIBUTES: Guard = Guard::new("`span_attributes`", "the span goes without them");
pub(crate) static FIELDS: Guard = Guard::new("`fields`", "the span goes without them");
pub(crate) static INSTRUMENTATION: Guard = Guard::new("`instrumentation`", "the RPC is not recorded here");
pub(crate) static PROPAGATOR: Guard = Guard::new("the propagator", "the trace does not go on");
pub(crate) static TRACER: Guard = Guard::new(
    "the tracer, its sampler or a span processor",
    "the span is lost or not whole",
);
pub(crate) static METER: Guard = Guard::new("the meter or one of its views", "the RPC is not measured");

impl Guard {
    const fn new(name: &'static str, consequence: &'static str) -> Self {
        Guard {
            name,
            consequence,
            warned: AtomicBool::new(false),
        }
    }

    /// Asks. `None` where that panics.
    #[inline]
    pub(crate) fn run<T>(&self, function: impl FnOnce() -> T) -> Option<T> {
        CaughtPanic::catch(function).map_err(|panic| self.panicked(panic)).ok()
    }

    /// Tells of it, once: what panics for one RPC does so for most.
    #[cold]
    fn panicked(&self, panic: CaughtPanic) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let Guard { name, consequence, .. } = self;
            let message = panic.message();
            let _ = CaughtPanic::catch(
                || tracing::warn!(target: "otel_runtime", "{name} panicked, so {consequence}: {message}; this is told once"),
            );
        }
        // What was thrown may panic when it is dropped. What that throws is left where it is.
        if let Err(again) = CaughtPanic::catch(|| drop(panic)) {
            std::mem::forget(again);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_thrown_may_panic_in_turn() {
        struct Again(u8);

        impl Drop for Again {
            fn drop(&mut self) {
                if self.0 > 0 {
                    std::panic::panic_any(Again(self.0 - 1));
                }
            }
        }

        static GUARD: Guard = Guard::new("the test", "nothing is lost");
        assert_eq!(GUARD.run(|| std::panic::panic_any(Again(2))), None::<()>);
        assert_eq!(GUARD.run(|| 1), Some(1));
    }
}
