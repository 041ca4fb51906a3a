//! Tokio's clock, which tells whether a deadline has passed. Tests stop it and move it.

use std::fmt::Debug;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time;

/// Lets this time pass at once, on a runtime with one thread.
pub async fn let_pass(duration: Duration) {
    time::pause();
    time::advance(duration).await;
    time::resume();
}

/// A clock that stands still, on a runtime with one thread.
///
/// Both sides of a call start at the same time, however busy the machine is.
#[derive(Debug)]
pub struct StoppedClock {
    release: Sender<()>,
    blocking: JoinHandle<()>,
}

impl StoppedClock {
    /// Stops the clock.
    #[must_use]
    pub fn stop() -> Self {
        time::pause();
        // While a blocking task runs, the clock does not go on by itself.
        let (release, held) = mpsc::channel();
        let blocking = spawn_blocking(move || held.recv().unwrap_or_default());
        StoppedClock { release, blocking }
    }

    /// Lets a call go on until its handler waits.
    ///
    /// # Panics
    ///
    /// Panics if the call ends before that: without a clock, no limit would end the test.
    pub async fn until<T: Debug>(&self, call: impl Future<Output = T>, waits: impl Future<Output = ()>) {
        tokio::select! {
            ended = call => panic!("the call has ended: {ended:?}"),
            () = waits => {}
        }
    }

    /// Lets the clock jump to the end of a call, and returns how it ends.
    pub async fn end<T>(self, call: impl Future<Output = T>) -> T {
        drop(self.release);
        self.blocking.await.unwrap();
        let ended = call.await;
        time::resume();
        ended
    }
}
