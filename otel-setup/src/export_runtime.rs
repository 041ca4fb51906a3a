//! The runtime of the exporters.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::{io, thread};

use opentelemetry::Context;
use tokio::runtime::{self, Handle};
use tokio::sync::mpsc;

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
        thread::Builder::new().name("otel-export".to_owned()).spawn(move || {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            runtime.block_on(closed.recv());
        })?;
        Ok(ExportRuntime { handle, _alive: alive })
    }

    /// Calls `work` on the current thread. Tasks that it spawns run on the export thread.
    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.handle.enter();
        work()
    }

    /// Polls `work` on the caller's thread, with or without a runtime. Its tasks, sockets and
    /// timers belong to the export thread.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T> + Send) -> T {
        let mut work = pin!(work);
        poll_fn(|context| self.enter(|| work.as_mut().poll(context))).await
    }
}

impl fmt::Debug for ExportRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportRuntime").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tasks_run_on_a_separate_thread_with_telemetry_suppressed() {
        let runtime = ExportRuntime::start().unwrap();
        let observed = runtime.run(async {
            let task = tokio::spawn(async {
                let name = thread::current().name().map(str::to_owned);
                (name, Context::is_current_telemetry_suppressed())
            });
            // The caller's runtime has no timer.
            tokio::time::sleep(Duration::from_millis(1)).await;
            task.await.unwrap()
        });
        let caller = runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(caller.block_on(observed), (Some("otel-export".to_owned()), true));
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
