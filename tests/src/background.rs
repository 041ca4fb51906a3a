//! Runtimes beside the test's own, on which servers go on while a test blocks.

use std::ops::Deref;

use tokio::runtime::{Builder, Runtime};

use crate::server::TIMEOUT;

/// Returns a runtime with one thread of its own.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// A [`runtime`] whose tasks end when it is dropped, also within another runtime.
#[derive(Debug)]
pub(crate) struct BackgroundRuntime(Option<Runtime>);

impl BackgroundRuntime {
    pub(crate) fn start() -> Self {
        BackgroundRuntime(Some(runtime()))
    }

    /// Ends the runtime, and waits for the tasks that are being polled.
    pub(crate) fn end(mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(TIMEOUT);
        }
    }
}

impl Deref for BackgroundRuntime {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.as_ref().expect("it runs until it is dropped")
    }
}

impl Drop for BackgroundRuntime {
    fn drop(&mut self) {
        // An ordinary drop waits for the thread, and panics within another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
