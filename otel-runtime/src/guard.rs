//! Handling of panics in foreign code.
//!
//! A panic in the service's own code is recorded, logged and resumed. A panic in code that runs
//! only for telemetry, such as a filter or a sampler, is caught: it must not fail the RPC.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::semconv;

/// A caught panic, to be logged or resumed.
pub(crate) struct CaughtPanic(Box<dyn Any + Send>);

impl CaughtPanic {
    /// Calls `run` and catches its panic.
    ///
    /// `AssertUnwindSafe` is sound for the service's code because its panic is resumed: the caller
    /// sees a broken invariant no more than without this crate.
    pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Self> {
        catch_unwind(AssertUnwindSafe(run)).map_err(CaughtPanic)
    }

    pub(crate) fn message(&self) -> &str {
        if let Some(message) = self.0.downcast_ref::<&str>() {
            message
        } else if let Some(message) = self.0.downcast_ref::<String>() {
            message
        } else {
            // std's default panic hook prints this for a payload of any other type.
            "Box<dyn Any>"
        }
    }

    /// [Logs](log_exception) the panic.
    pub(crate) fn log(&self) {
        log_exception(self.message());
    }

    pub(crate) fn resume(self) -> ! {
        resume_unwind(self.0)
    }
}

/// Logs a panic as the `tracing` event that the semantic conventions define for exceptions.
///
/// A log bridge turns the event into a log record of the current context's trace. If a subscriber
/// panics in turn, that panic is dropped: it must not replace the original one.
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

/// Foreign code that runs while an RPC is recorded, such as a filter or a sampler.
///
/// [`run`](Guard::run) catches its panics and logs the first.
pub(crate) struct Guard {
    name: &'static str,
    /// The effect of a panic on the telemetry of the RPC, as the warning states it.
    consequence: &'static str,
    warned: AtomicBool,
}

pub(crate) static FAILURES: Guard = Guard::new("`failures`", "the default decides whether the RPC failed");
pub(crate) static FILTER: Guard = Guard::new("`filter`", "the RPC is recorded");
pub(crate) static PUBLIC_ENDPOINT: Guard = Guard::new("`public_endpoint_if`", "the caller is untrusted");
pub(crate) static SPAN_ATTRIBUTES: Guard = Guard::new("`span_attributes`", "the span is recorded without them");
pub(crate) static METRIC_ATTRIBUTES: Guard = Guard::new("`metric_attributes`", "metrics are recorded without them");
pub(crate) static FIELDS: Guard = Guard::new("`fields`", "the span is recorded without them");
pub(crate) static INSTRUMENTATION: Guard = Guard::new("`instrumentation`", "the RPC is not recorded");
pub(crate) static PROPAGATOR: Guard = Guard::new("the propagator", "the trace context is not propagated");
pub(crate) static TRACER: Guard = Guard::new(
    "the tracer, its sampler or a span processor",
    "the span is lost or incomplete",
);
pub(crate) static SUBSCRIBER: Guard = Guard::new(
    "the `tracing` subscriber",
    "the call is not logged, or its `tracing` span is incomplete",
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

    /// Calls `function`, and returns `None` if it panics.
    #[inline]
    pub(crate) fn run<T>(&self, function: impl FnOnce() -> T) -> Option<T> {
        CaughtPanic::catch(function).map_err(|panic| self.panicked(panic)).ok()
    }

    /// Logs the first panic only: code that panics for one RPC is likely to panic for most.
    #[cold]
    fn panicked(&self, panic: CaughtPanic) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let Guard { name, consequence, .. } = self;
            let message = panic.message();
            let _ = CaughtPanic::catch(
                || tracing::warn!(target: "otel_runtime", "{name} panicked, so {consequence}: {message} (logged once)"),
            );
        }
        // Dropping a panic payload may itself panic. Leak the second payload.
        if let Err(again) = CaughtPanic::catch(|| drop(panic)) {
            std::mem::forget(again);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catches_a_panic_while_the_payload_is_dropped() {
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
