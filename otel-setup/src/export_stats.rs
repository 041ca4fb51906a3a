//! What was made, what arrived, and what did not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::signal::Signal;

/// The counts of a signal on its way to a receiver. They are right to the last span, metric point or log record once they are closed.
#[derive(Debug)]
pub(crate) struct ExportStats {
    pub(crate) signal: Signal,
    /// For people.
    receiver: String,
    made: AtomicU64,
    counts: Mutex<Counts>,
    closed: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    arrived: u64,
    failed: u64,
    /// Why the last of those that did not arrive did not.
    reason: Option<String>,
    /// What has been lost since the receiver last answered: `None` while it does.
    outage: Option<u64>,
    /// When the shutdown has to be done.
    deadline: Option<Instant>,
    is_closed: bool,
}

/// What did not arrive, and why.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) lost: u64,
    pub(crate) text: String,
}

impl ExportStats {
    pub(crate) fn new(signal: Signal, receiver: String) -> Self {
        ExportStats {
            signal,
            receiver,
            made: AtomicU64::default(),
            counts: Mutex::default(),
            closed: Condvar::new(),
        }
    }

    /// There is something to send.
    pub(crate) fn made(&self, count: u64) {
        self.made.fetch_add(count, Ordering::Relaxed);
    }

    /// The receiver has it.
    pub(crate) fn arrived(&self, count: u64) {
        let mut counts = self.counts();
        counts.arrived += count;
        let outage = counts.outage.take();
        drop(counts);
        if let Some(lost) = outage {
            let (receiver, things) = (&self.receiver, self.signal.unit());
            tracing::warn!(target: "otel_setup", "{receiver} answers again: {lost} {things} were lost in between");
        }
    }

    /// The receiver has what there is now, and that has all that was there before: cumulative metrics. An outage has cost nothing.
    pub(crate) fn caught_up(&self) {
        let mut counts = self.counts();
        counts.arrived = self.made.load(Ordering::Relaxed);
        counts.failed = 0;
        counts.reason = None;
        let outage = counts.outage.take();
        drop(counts);
        if outage.is_some() {
            let (receiver, things) = (&self.receiver, self.signal.unit());
            tracing::warn!(target: "otel_setup", "{receiver} answers again: {things} are up to date");
        }
    }

    /// The receiver does not have it, and will not.
    pub(crate) fn failed(&self, count: u64, reason: &str) {
        let (receiver, things) = (&self.receiver, self.signal.unit());
        let mut counts = self.counts();
        counts.failed += count;
        let was_there = counts.outage.is_none();
        *counts.outage.get_or_insert(0) += count;
        counts.reason = Some(reason.to_owned());
        drop(counts);
        if was_there {
            tracing::warn!(target: "otel_setup", "{things} are lost, because {receiver} cannot be reached: {reason}; this is told once");
        }
    }

    /// How long something may take that takes `limit` at most, now.
    pub(crate) fn time_left(&self, limit: Duration) -> Duration {
        let deadline = self.counts().deadline;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.map_or(limit, |left| left.min(limit))
    }

    /// Nothing more is made, and what there is has to be sent by then.
    pub(crate) fn must_close_by(&self, deadline: Instant) {
        self.counts().deadline = Some(deadline);
    }

    /// Nothing more is sent.
    pub(crate) fn close(&self) {
        self.counts().is_closed = true;
        self.closed.notify_all();
    }

    /// Waits for that, at most until then.
    pub(crate) fn wait_until_closed(&self, deadline: Instant) {
        let mut counts = self.counts();
        while !counts.is_closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.closed.wait_timeout(counts, left);
            (counts, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.counts().is_closed
    }

    /// How much could not be sent so far, and why.
    pub(crate) fn failures(&self) -> (u64, Option<String>) {
        let counts = self.counts();
        (counts.failed, counts.reason.clone())
    }

    /// What of all that was made did not arrive, at the end, for which there was `limit`.
    pub(crate) fn loss(&self, limit: Duration) -> Option<Loss> {
        let counts = self.counts();
        let made = self.made.load(Ordering::Relaxed);
        let lost = made.saturating_sub(counts.arrived);
        if lost == 0 {
            return None;
        }
        let waiting = lost.saturating_sub(counts.failed);
        let mut reasons = Vec::new();
        if let Some(reason) = &counts.reason {
            reasons.push(reason.clone());
        }
        if waiting > 0 && counts.is_closed {
            reasons.push(format!("{waiting} found the queue full, or came after the end"));
        } else if waiting > 0 {
            reasons.push(format!(
                "{waiting} were not sent within {limit:?}, or found the queue full"
            ));
        }
        let (things, receiver, reasons) = (self.signal.unit(), &self.receiver, reasons.join("; "));
        let text = format!("{lost} of {made} {things} did not arrive at {receiver} ({reasons})");
        Some(Loss { lost, text })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
