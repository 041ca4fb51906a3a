//! Waiting for spans and metrics, in any runtime, by the clock of the system.
//!
//! tokio's clock would not do: a test may have stopped it, and then it jumps to the next timeout as
//! soon as all tasks wait.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::recorder::Recorder;

/// How often metrics are collected: instruments do not notify of measurements.
const INTERVAL: Duration = Duration::from_millis(1);

/// The telemetry that a condition depends on.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum On {
    /// Only spans, whose starts and ends are notified.
    Spans,
    Metrics,
}

/// Waits until `check` returns a value, or returns `None` if it has not until `limit` has passed.
pub(super) async fn wait<T>(
    on: On,
    recorder: &Recorder,
    limit: Duration,
    mut check: impl FnMut() -> Option<T>,
) -> Option<T> {
    let mut spans = recorder.subscribe();
    if let Some(found) = check() {
        return Some(found);
    }
    let mut ticks = Ticks::start(limit, if on == On::Spans { limit } else { INTERVAL });
    loop {
        let is_late = tokio::select! {
            _ = spans.changed() => false,
            tick = ticks.ticks.changed() => tick.is_err(),
        };
        let found = check();
        if is_late || found.is_some() {
            return found;
        }
    }
}

/// A thread that ticks until the limit has passed, or until this is dropped.
struct Ticks {
    /// Closed once the limit has passed.
    ticks: watch::Receiver<()>,
    _stop: mpsc::Sender<()>,
}

impl Ticks {
    fn start(limit: Duration, interval: Duration) -> Self {
        let (tick, ticks) = watch::channel(());
        let (stop, stopped) = mpsc::channel::<()>();
        let start = Instant::now();
        thread::spawn(move || {
            loop {
                let left = limit.saturating_sub(start.elapsed());
                let waited = stopped.recv_timeout(interval.min(left));
                if left.is_zero() || waited != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                tick.send_replace(());
            }
        });
        Ticks { ticks, _stop: stop }
    }
}
