//! Detects that this process is a fork of the one that set telemetry up.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The reason why a forked process exports nothing.
pub(crate) const FORKED: &str = "this process was forked after the setup of telemetry, and has none of the threads that export; \
     set telemetry up after the fork instead";

/// The minimum number of milliseconds between two checks. The system call takes 50 to 200 ns, and a
/// span about 1 µs.
const INTERVAL: u64 = 100;

/// The process that was set up.
#[derive(Debug)]
pub(crate) struct ForkCheck {
    process: u32,
    /// The time of the last item at which the process was compared, in milliseconds.
    checked_at: AtomicU64,
    /// Whether a fork has been reported.
    is_reported: AtomicBool,
}

impl Default for ForkCheck {
    fn default() -> Self {
        ForkCheck {
            process: process::id(),
            checked_at: AtomicU64::default(),
            is_reported: AtomicBool::default(),
        }
    }
}

impl ForkCheck {
    pub(crate) fn is_forked(&self) -> bool {
        process::id() != self.process
    }

    /// Locks a mutex, or returns `None` if this process was forked while another thread had it. It
    /// would be locked for ever.
    pub(crate) fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> Option<MutexGuard<'a, T>> {
        match mutex.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            // A system call, only if threads meet.
            Err(TryLockError::WouldBlock) if self.is_forked() => None,
            Err(TryLockError::WouldBlock) => Some(mutex.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Returns `true` once in a forked process, at the first item that is later than the last check
    /// by the interval.
    ///
    /// `time` is that of the item: to read the clock again would cost more than the rest.
    pub(crate) fn must_report(&self, time: Option<SystemTime>) -> bool {
        let time = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        // A program may end a span at any time.
        let millis = time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        if millis.abs_diff(self.checked_at.load(Ordering::Relaxed)) < INTERVAL {
            return false;
        }
        self.checked_at.store(millis, Ordering::Relaxed);
        self.is_forked() && !self.is_reported.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_fork_is_reported_once_whatever_the_time() {
        for seconds in [1, 1 << 40, i64::MAX.cast_unsigned()] {
            let fork = ForkCheck {
                process: process::id() + 1,
                ..ForkCheck::default()
            };
            let time = UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
            assert!(time.is_some(), "{seconds}");
            assert!(fork.must_report(time), "{seconds}");
            assert!(!fork.must_report(None), "{seconds}");
        }
    }

    #[test]
    fn a_fork_waits_for_no_lock() {
        let own = ForkCheck::default();
        let fork = ForkCheck {
            process: process::id() + 1,
            ..ForkCheck::default()
        };
        let shared = Arc::new((fork, Mutex::new(1)));
        let (fork, mutex) = &*shared;
        let locked = own.lock(mutex).expect("it is free");
        let (answer, answered) = mpsc::channel();
        let of_thread = Arc::clone(&shared);
        // A fork that waits fails the test, and does not hang it.
        thread::spawn(move || answer.send(of_thread.0.lock(&of_thread.1).is_none()));
        let is_refused = answered.recv_timeout(Duration::from_secs(10));
        assert_eq!(is_refused, Ok(true), "no thread of the fork can unlock it");
        drop(locked);
        assert_eq!(fork.lock(mutex).as_deref(), Some(&1));
    }
}
