//! The runtime of the exporters.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::resume_unwind;

use opentelemetry::Context;
use tokio::runtime::{self, Handle};
use tokio::sync::mpsc;

use crate::threads;

/// A single-threaded tokio runtime for the exporters, separate from the program's.
///
/// A busy or blocked program does not delay exports, and exports take no time of its worker
/// threads. Telemetry is suppressed on the thread, so exports record nothing. Dropping the last
/// clone ends the thread.
#[derive(Clone)]
pub(crate) struct ExportRuntime {
    handle: Handle,
    /// Closing the channel ends the thread.
    _alive: mpsc::Sender<Infallible>,
}

impl ExportRuntime {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, mut closed) = mpsc::channel(1);
        let work = move || {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            runtime.block_on(closed.recv());
        };
        threads::spawn("otel-export", Box::new(work))?;
        Ok(ExportRuntime { handle, _alive: alive })
    }

    /// Calls `work` on the current thread. Tasks that it spawns run on the export thread.
    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.handle.enter();
        work()
    }

    /// Runs `work` on the export thread, whether or not the caller has a runtime.
    ///
    /// The connections are tasks of the same thread, so none of them ends while `work` hands it a
    /// request. From another thread, such a request is never answered
    /// ([hyperium/hyper#4122](https://github.com/hyperium/hyper/issues/4122), hyper 1.12).
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let output = self.handle.spawn(work).await;
        // The runtime outlives `self`, so the task is not cancelled.
        output.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }
}

impl fmt::Debug for ExportRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportRuntime").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_and_its_tasks_run_on_a_separate_thread_with_telemetry_suppressed() {
        fn place() -> (Option<String>, bool) {
            let name = thread::current().name().map(str::to_owned);
            (name, Context::is_current_telemetry_suppressed())
        }
        let runtime = ExportRuntime::start().unwrap();
        let places = runtime.run(async {
            let task = tokio::spawn(async { place() });
            // The caller's runtime has no timer.
            tokio::time::sleep(Duration::from_millis(1)).await;
            (place(), task.await.unwrap())
        });
        let caller = runtime::Builder::new_current_thread().build().unwrap();
        let expected = (Some("otel-export".to_owned()), true);
        assert_eq!(caller.block_on(places), (expected.clone(), expected));
    }

    #[test]
    #[should_panic(expected = "of the work")]
    fn a_panic_of_the_work_is_the_callers() {
        let runtime = ExportRuntime::start().unwrap();
        let caller = runtime::Builder::new_current_thread().build().unwrap();
        caller.block_on(runtime.run(async { panic!("of the work") }));
    }

    #[test]
    fn the_thread_ends_with_the_last_clone() {
        let runtime = ExportRuntime::start().unwrap();
        let (guard, ended) = std::sync::mpsc::channel::<Infallible>();
        // The task holds the guard until the runtime drops it.
        runtime.handle.spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        let clone = runtime.clone();
        drop(runtime);
        assert_eq!(ended.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty));
        drop(clone);
        assert_eq!(ended.recv(), Err(std::sync::mpsc::RecvError));
    }
}
