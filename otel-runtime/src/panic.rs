//! A panic in code that is not this crate's. In the service's own it is seen, told, and passed on; in what telemetry asks of others, it is no matter of the RPC's.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::semconv;

/// What was thrown, on its way through.
pub(crate) struct Panic(Box<dyn Any + Send>);

impl Panic {
    /// Runs the service's code. Whatever state a panic leaves behind is for the service's caller to judge: the panic goes on, as it would have without us.
    pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Self> {
        catch_unwind(AssertUnwindSafe(run)).map_err(Panic)
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

    /// [Logs](tell) it.
    pub(crate) fn log(&self) {
        tell(self.message());
    }

    pub(crate) fn resume(self) -> ! {
        resume_unwind(self.0)
    }
}

/// The conventions' event for a panic, to wherever `tracing` events go. A log bridge makes it a log record of the current context's trace.
///
/// A subscriber that panics in turn must not take the place of the panic it was told of.
pub(crate) fn tell(message: &str) {
    let _ = Panic::catch(|| {
        tracing::event!(
            name: "rpc.server.call.exception",
            tracing::Level::ERROR,
            "exception.type" = semconv::PANIC,
            "exception.message" = message
        );
    });
}

/// What is not this crate's, and is asked while an RPC is recorded: a user's function, a part of an SDK. A panic in there costs the answer, never the RPC.
pub(crate) struct Asked {
    name: &'static str,
    /// What becomes of an RPC without the answer.
    without: &'static str,
    is_told: AtomicBool,
}

pub(crate) static FILTER: Asked = Asked::new("`filter`", "the RPC is recorded");
pub(crate) static PUBLIC_ENDPOINT: Asked = Asked::new("`public_endpoint_if`", "the caller is a stranger");
pub(crate) static SPAN_ATTRIBUTES: Asked = Asked::new("`span_attributes`", "the span goes without them");
pub(crate) static FIELDS: Asked = Asked::new("`fields`", "the span goes without them");
pub(crate) static INSTRUMENTATION: Asked = Asked::new("`instrumentation`", "the RPC is not recorded here");
pub(crate) static PROPAGATOR: Asked = Asked::new("the propagator", "the trace does not go on");
pub(crate) static TRACER: Asked = Asked::new(
    "the tracer, its sampler or a span processor",
    "the span is lost or not whole",
);
pub(crate) static METER: Asked = Asked::new("the meter or one of its views", "the RPC is not measured");

impl Asked {
    const fn new(name: &'static str, without: &'static str) -> Self {
        Asked {
            name,
            without,
            is_told: AtomicBool::new(false),
        }
    }

    /// Asks. `None` where that panics.
    #[inline]
    pub(crate) fn answer<T>(&self, ask: impl FnOnce() -> T) -> Option<T> {
        Panic::catch(ask).map_err(|panic| self.panicked(panic)).ok()
    }

    /// Tells of it, once: what panics for one RPC does so for most.
    #[cold]
    fn panicked(&self, panic: Panic) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            let Asked { name, without, .. } = self;
            let message = panic.message();
            let _ = Panic::catch(
                || tracing::warn!(target: "otel_runtime", "{name} panicked, so {without}: {message}; this is told once"),
            );
        }
        // What was thrown may panic when it is dropped. What that throws is left where it is.
        if let Err(again) = Panic::catch(|| drop(panic)) {
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

        static ASKED: Asked = Asked::new("the test", "nothing is lost");
        assert_eq!(ASKED.answer(|| std::panic::panic_any(Again(2))), None::<()>);
        assert_eq!(ASKED.answer(|| 1), Some(1));
    }
}
