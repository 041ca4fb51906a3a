//! Turns of tests that use the global providers: one test at a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// The thread whose turn it is.
static HOLDER: Mutex<Option<ThreadId>> = Mutex::new(None);
static ENDED: Condvar = Condvar::new();

/// The turn of a test, until it is dropped.
///
/// No guard of a mutex, so that a future that holds it can be sent to another thread.
#[derive(Debug)]
pub(super) struct Turn(());

impl Turn {
    /// Waits until the tests before have ended.
    ///
    /// # Panics
    ///
    /// Panics if it is this thread's turn already, which would never end.
    #[track_caller]
    pub(super) fn wait() -> Self {
        let this = thread::current().id();
        let mut holder = holder();
        assert_ne!(
            *holder,
            Some(this),
            "`TestTelemetry::global` was called while this test's first one is still alive"
        );
        while holder.is_some() {
            holder = ENDED.wait(holder).unwrap_or_else(PoisonError::into_inner);
        }
        *holder = Some(this);
        Turn(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *holder() = None;
        ENDED.notify_one();
    }
}

fn holder() -> MutexGuard<'static, Option<ThreadId>> {
    HOLDER.lock().unwrap_or_else(PoisonError::into_inner)
}
