//! A thread that does what exporters wait for.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::{io, thread};

use opentelemetry::Context;
use tokio::runtime::{self, Handle};
use tokio::sync::mpsc;

/// A small runtime of its own, on one thread: exporters neither need the program's, nor wait for it, nor take its time.
///
/// Nothing that happens on it becomes telemetry. It ends with the last of its clones.
#[derive(Clone)]
pub(crate) struct ExportRuntime {
    runtime: Handle,
    _keeps_it: mpsc::Sender<Infallible>,
}

impl ExportRuntime {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (keeper, mut kept) = mpsc::channel(1);
        thread::Builder::new().name("otel-export".to_owned()).spawn(move || {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            runtime.block_on(kept.recv());
        })?;
        Ok(ExportRuntime {
            runtime: handle,
            _keeps_it: keeper,
        })
    }

    /// Does that now. What it spawns runs there.
    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.enter();
        work()
    }

    /// Waits for that, on whatever thread. What it spawns runs there, and so do its sockets and timers.
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
    fn is_a_thread_of_its_own_without_telemetry() {
        let runtime = ExportRuntime::start().unwrap();
        let seen = runtime.run(async {
            let there = tokio::spawn(async {
                let name = thread::current().name().map(str::to_owned);
                (name, Context::is_current_telemetry_suppressed())
            });
            // A runtime without timers waits for one.
            tokio::time::sleep(Duration::from_millis(1)).await;
            there.await.unwrap()
        });
        let caller = runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(caller.block_on(seen), (Some("otel-export".to_owned()), true));
    }

    #[test]
    fn ends_with_its_last_clone() {
        let runtime = ExportRuntime::start().unwrap();
        let (gone, is_gone) = std::sync::mpsc::channel::<Infallible>();
        // Held by what runs there, and dropped with the runtime.
        runtime.runtime.spawn(async move {
            let _gone = gone;
            std::future::pending::<()>().await;
        });
        let clone = runtime.clone();
        drop(runtime);
        assert_eq!(is_gone.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty));
        drop(clone);
        assert_eq!(is_gone.recv(), Err(std::sync::mpsc::RecvError));
    }
}
