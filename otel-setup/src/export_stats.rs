//! Statistics of the OTLP exporters: how much was recorded, delivered and lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::signal::Signal;

/// Counts of one signal's spans, metric data points or log records. They are exact once the
/// exporter is closed.
#[derive(Debug)]
pub(crate) struct ExportStats {
    pub(crate) signal: Signal,
    /// The endpoint, as messages show it.
    endpoint: String,
    /// Separate from the other counts, so that the threads that record spans take no lock.
    recorded: AtomicU64,
    counts: Mutex<Counts>,
    closed: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    delivered: u64,
    failed: u64,
    last_failure: Option<String>,
    /// The number of losses since the last successful export, or `None` if the last export
    /// succeeded.
    outage: Option<u64>,
    /// The end of the shutdown's timeout, if a shutdown has begun.
    deadline: Option<Instant>,
    is_closed: bool,
}

/// The undelivered part of everything that was recorded.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) lost: u64,
    pub(crate) message: String,
}

impl ExportStats {
    pub(crate) fn new(signal: Signal, endpoint: String) -> Self {
        ExportStats {
            signal,
            endpoint,
            recorded: AtomicU64::default(),
            counts: Mutex::default(),
            closed: Condvar::new(),
        }
    }

    /// Counts telemetry that is going to be exported.
    pub(crate) fn add_recorded(&self, count: u64) {
        self.recorded.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts telemetry that the endpoint has accepted. If that ends an outage, logs how much was
    /// lost.
    pub(crate) fn add_delivered(&self, count: u64) {
        let mut counts = self.counts();
        counts.delivered += count;
        let outage = counts.outage.take();
        drop(counts);
        if let Some(lost) = outage {
            let (endpoint, unit) = (&self.endpoint, self.signal.unit());
            tracing::warn!(target: "otel_setup", "{endpoint} is reachable again; {lost} {unit} were lost");
        }
    }

    /// Counts everything as delivered: an export of cumulative metrics contains all earlier ones.
    pub(crate) fn set_all_delivered(&self) {
        let mut counts = self.counts();
        counts.delivered = self.recorded.load(Ordering::Relaxed);
        counts.failed = 0;
        counts.last_failure = None;
        let outage = counts.outage.take();
        drop(counts);
        if outage.is_some() {
            let (endpoint, signal) = (&self.endpoint, self.signal);
            tracing::warn!(target: "otel_setup", "{endpoint} is reachable again; {signal} are up to date");
        }
    }

    /// Counts telemetry that was lost. If that begins an outage, logs the reason.
    pub(crate) fn add_failed(&self, count: u64, reason: &str) {
        let (endpoint, unit) = (&self.endpoint, self.signal.unit());
        let mut counts = self.counts();
        counts.failed += count;
        let begins_outage = counts.outage.is_none();
        *counts.outage.get_or_insert(0) += count;
        counts.last_failure = Some(reason.to_owned());
        drop(counts);
        if begins_outage {
            tracing::warn!(target: "otel_setup", "cannot export to {endpoint}, {unit} are lost: {reason} (logged once)");
        }
    }

    /// Returns the timeout, cut short by the deadline of a shutdown.
    pub(crate) fn remaining(&self, timeout: Duration) -> Duration {
        let deadline = self.counts().deadline;
        let remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        remaining.map_or(timeout, |remaining| remaining.min(timeout))
    }

    /// Sets the time at which the exporter must be closed.
    pub(crate) fn set_deadline(&self, deadline: Instant) {
        self.counts().deadline = Some(deadline);
    }

    /// Marks the exporter as closed: nothing is exported from now on.
    pub(crate) fn close(&self) {
        self.counts().is_closed = true;
        self.closed.notify_all();
    }

    /// Blocks until the exporter is closed, or until the deadline.
    pub(crate) fn wait_until_closed(&self, deadline: Instant) {
        let mut counts = self.counts();
        while !counts.is_closed {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return;
            }
            let waited = self.closed.wait_timeout(counts, remaining);
            (counts, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.counts().is_closed
    }

    /// Returns the number of items in failed exports so far, and the reason of the last failure.
    pub(crate) fn failures(&self) -> (u64, Option<String>) {
        let counts = self.counts();
        (counts.failed, counts.last_failure.clone())
    }

    /// Returns the loss after a shutdown with this timeout, or `None` if everything was delivered.
    pub(crate) fn loss(&self, timeout: Duration) -> Option<Loss> {
        let counts = self.counts();
        let recorded = self.recorded.load(Ordering::Relaxed);
        let lost = recorded.saturating_sub(counts.delivered);
        if lost == 0 {
            return None;
        }
        let never_exported = lost.saturating_sub(counts.failed);
        let mut reasons = Vec::new();
        if let Some(reason) = &counts.last_failure {
            reasons.push(reason.clone());
        }
        if never_exported > 0 && counts.is_closed {
            reasons.push(format!(
                "{never_exported} found the queue full, or were recorded after the shutdown"
            ));
        } else if never_exported > 0 {
            reasons.push(format!(
                "{never_exported} were not exported within {timeout:?}, or found the queue full"
            ));
        }
        let (unit, endpoint, reasons) = (self.signal.unit(), &self.endpoint, reasons.join("; "));
        let message = format!("{lost} of {recorded} {unit} were not delivered to {endpoint} ({reasons})");
        Some(Loss { lost, message })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
