//! A panic in the service's own code: seen, told, and passed on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

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
