//! Statistics of the exporters `otlp` and `console`: how much was recorded, delivered and lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::export_failure::{Cause, Causes, ExportFailure};
use crate::fork_check::{FORKED, ForkCheck};
use crate::panic_guard::SUBSCRIBER;
use crate::signal::Signal;
use crate::text::by_number;

/// The minimum time between two log lines about the end of an outage.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Counts of one signal's spans, metric data points or log records. They are exact once the
/// exporter is closed.
#[derive(Debug)]
pub(crate) struct ExportStats {
    pub(crate) signal: Signal,
    /// The endpoint, as messages show it.
    endpoint: String,
    /// Tells which exporter was made first.
    pub(crate) created: Instant,
    /// Spans that have started. Separate from the other counts, as is `recorded`, so that the
    /// threads that record spans take no lock.
    started: AtomicU64,
    recorded: AtomicU64,
    /// Log records that were made after the shutdown had begun.
    late: AtomicU64,
    counts: Mutex<Counts>,
    /// Set while the counts are locked, and read without a lock for each item.
    is_closed: AtomicBool,
    closed: Condvar,
    /// The end of the shutdown's timeout, if a shutdown has begun.
    deadline: watch::Sender<Option<Instant>>,
    fork_check: ForkCheck,
}

#[derive(Debug, Default)]
struct Counts {
    delivered: u64,
    causes: Causes,
    /// The number of losses since the receiver was last reachable, or `None` while it is.
    outage: Option<u64>,
    recovery_logged_at: Option<Instant>,
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
            created: Instant::now(),
            started: AtomicU64::default(),
            recorded: AtomicU64::default(),
            late: AtomicU64::default(),
            counts: Mutex::default(),
            is_closed: AtomicBool::default(),
            closed: Condvar::new(),
            deadline: watch::Sender::default(),
            fork_check: ForkCheck::default(),
        }
    }

    /// Counts a span that is going to be recorded when it ends.
    pub(crate) fn add_started(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts telemetry that is going to be exported.
    pub(crate) fn add_recorded(&self, count: u64) {
        self.recorded.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts a span or log record that is going to be exported. `time` is about now: to read the
    /// clock again would cost more than everything else here.
    pub(crate) fn add_item(&self, time: Option<SystemTime>) {
        self.add_recorded(1);
        if self.fork_check.must_report(time) {
            let unit = self.signal.unit();
            warn(format_args!("{unit} are lost: {FORKED} (logged once)"));
        }
    }

    /// Counts a log record that the program makes while it shuts down. It is exported if there is
    /// time, but is no loss otherwise: connections that close log events of their own.
    pub(crate) fn add_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether this process is a fork of the one whose threads export.
    pub(crate) fn is_forked(&self) -> bool {
        self.fork_check.is_forked()
    }

    /// Counts telemetry that the endpoint has accepted. If that ends an outage, logs how much was
    /// lost.
    pub(crate) fn add_delivered(&self, count: u64) {
        let mut counts = self.counts();
        counts.delivered += count;
        let due = counts.causes.due(Instant::now());
        let outage = counts.end_outage();
        drop(counts);
        self.log_loss(due);
        if let Some(lost) = outage {
            let (endpoint, items) = (&self.endpoint, self.signal.items(lost));
            let were = by_number(lost, "was", "were");
            warn(format_args!("{endpoint} is reachable again; {items} {were} lost"));
        }
    }

    /// Counts everything as delivered: an export of cumulative metrics contains all earlier ones.
    pub(crate) fn set_all_delivered(&self) {
        let mut counts = self.counts();
        counts.delivered = self.recorded.load(Ordering::Relaxed);
        counts.causes.forget();
        let outage = counts.end_outage();
        drop(counts);
        if outage.is_some() {
            let (endpoint, signal) = (&self.endpoint, self.signal);
            warn(format_args!("{endpoint} is reachable again; {signal} are up to date"));
        }
    }

    /// Counts telemetry that was lost, and logs the reason at most once a minute.
    pub(crate) fn add_failed(&self, count: u64, failure: ExportFailure) {
        let mut counts = self.counts();
        match &mut counts.outage {
            // Items find the queue full while the receiver is away.
            Some(lost) if failure.is_outage() || failure.cause == Cause::QueueFull => *lost += count,
            None if failure.is_outage() => counts.outage = Some(count),
            _ => {}
        }
        let due = counts.causes.add(count, failure, Instant::now());
        drop(counts);
        self.log_loss(due);
    }

    /// Counts items of a delivered batch that the receiver has rejected.
    pub(crate) fn add_rejected(&self, count: u64, failure: ExportFailure) {
        let mut counts = self.counts();
        counts.delivered = counts.delivered.saturating_sub(count);
        drop(counts);
        self.add_failed(count, failure);
    }

    /// Logs a warning of the receiver, which has accepted everything.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code))]
    pub(crate) fn log_warning(&self, words: &str) {
        let (endpoint, unit) = (&self.endpoint, self.signal.unit());
        warn(format_args!(
            "{endpoint} has accepted {unit} with a warning: {words} (logged once)"
        ));
    }

    fn log_loss(&self, due: Option<(u64, ExportFailure)>) {
        if let Some((count, failure)) = due {
            let sentence = failure.sentence(count, self.signal, &self.endpoint);
            warn(format_args!("{sentence} (logged at most once a minute)"));
        }
    }

    /// Returns a receiver of the deadline of the shutdown.
    pub(crate) fn deadline(&self) -> watch::Receiver<Option<Instant>> {
        self.deadline.subscribe()
    }

    /// Sets the time at which the exporter must be closed.
    pub(crate) fn set_deadline(&self, deadline: Instant) {
        self.deadline.send_replace(Some(deadline));
    }

    /// Returns whether the shutdown has begun.
    pub(crate) fn is_closing(&self) -> bool {
        self.deadline.borrow().is_some()
    }

    /// Marks the exporter as closed: nothing is exported from now on.
    pub(crate) fn close(&self) {
        let counts = self.counts();
        self.is_closed.store(true, Ordering::Release);
        drop(counts);
        self.closed.notify_all();
    }

    /// Blocks until the exporter is closed, or until the deadline.
    pub(crate) fn wait_until_closed(&self, deadline: Instant) {
        let mut counts = self.counts();
        while !self.is_closed() {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return;
            }
            let waited = self.closed.wait_timeout(counts, remaining);
            (counts, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Returns the causes of the losses so far, with their numbers.
    pub(crate) fn causes(&self) -> Causes {
        self.counts().causes.clone()
    }

    /// Returns the loss since an earlier state of the causes, or `None` if there is none.
    pub(crate) fn loss_since(&self, before: &Causes) -> Option<Loss> {
        let (lost, message) = self.counts().causes.since(before, self.signal, &self.endpoint)?;
        Some(Loss { lost, message })
    }

    /// Returns the loss after a shutdown with this timeout, or `None` if everything was delivered.
    pub(crate) fn loss(&self, timeout: Duration) -> Option<Loss> {
        let counts = self.counts();
        let recorded = self.recorded.load(Ordering::Relaxed);
        // Only spans are counted as they start.
        let open = self.started.load(Ordering::Relaxed).saturating_sub(recorded);
        let late = self.late.load(Ordering::Relaxed);
        let mut total = recorded + open + late;
        let mut lost = total.saturating_sub(counts.delivered);
        let mut reasons: Vec<String> = Vec::new();
        let mut accounted = 0;
        for (count, failure) in counts.causes.losses() {
            reasons.push(match count {
                0 => failure.to_string(),
                count => format!("{count} {failure}"),
            });
            accounted += count;
        }
        let never_exported = (lost - open).saturating_sub(accounted);
        let forgiven = never_exported.min(late);
        (total, lost) = (total - forgiven, lost - forgiven);
        let never_exported = never_exported - forgiven;
        let were = by_number(never_exported, "was", "were");
        if never_exported > 0 && self.is_closed() {
            reasons.push(format!("{never_exported} {were} recorded during the shutdown"));
        } else if never_exported > 0 {
            reasons.push(format!("{never_exported} {were} not exported within {timeout:?}"));
        }
        if open > 0 {
            reasons.push(format!("{open} had not ended"));
        }
        if reasons.is_empty() {
            return None;
        }
        let (endpoint, reasons) = (&self.endpoint, reasons.join("; "));
        if lost == 0 {
            let unit = self.signal.unit();
            let message = format!("some {unit} were not delivered to {endpoint} ({reasons})");
            return Some(Loss { lost, message });
        }
        let (items, were) = (self.signal.items(total), by_number(lost, "was", "were"));
        let message = format!("{lost} of {items} {were} not delivered to {endpoint} ({reasons})");
        Some(Loss { lost, message })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Ends an outage. If that is to be logged, returns the number of lost items.
    fn end_outage(&mut self) -> Option<u64> {
        let lost = self.outage?;
        let now = Instant::now();
        let is_due = |logged_at| now.duration_since(logged_at) >= LOG_INTERVAL;
        if !self.recovery_logged_at.is_none_or(is_due) {
            return None;
        }
        self.recovery_logged_at = Some(now);
        self.outage = None;
        Some(lost)
    }
}

/// Logs a warning. If the subscriber panics, the thread that exports goes on.
fn warn(message: fmt::Arguments<'_>) {
    SUBSCRIBER.run(|| tracing::warn!(target: "otel_setup", "{message}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_tells_how_many_of_all_were_lost() {
        let timeout = Duration::from_secs(1);
        for (recorded, delivered, is_closed, expected) in [
            (
                1,
                0,
                false,
                "1 of 1 span was not delivered to here (1 was not exported within 1s)",
            ),
            (
                3,
                2,
                true,
                "1 of 3 spans was not delivered to here (1 was recorded during the shutdown)",
            ),
            (
                3,
                1,
                true,
                "2 of 3 spans were not delivered to here (2 were recorded during the shutdown)",
            ),
        ] {
            let stats = ExportStats::new(Signal::Traces, "here".to_owned());
            stats.add_recorded(recorded);
            stats.add_delivered(delivered);
            if is_closed {
                stats.close();
            }
            assert_eq!(stats.loss(timeout).unwrap().message, expected);
        }
    }

    #[test]
    fn a_flush_tells_what_is_rejected_again() {
        let stats = ExportStats::new(Signal::Metrics, "here".to_owned());
        let rejected = || ExportFailure::new(Cause::Rejected, "");
        for _ in 0..2 {
            let before = stats.causes();
            stats.add_recorded(3);
            stats.set_all_delivered();
            stats.add_rejected(1, rejected());
            assert_eq!(stats.loss_since(&before).unwrap().lost, 1);
        }
        let before = stats.causes();
        stats.add_rejected(1, rejected());
        stats.set_all_delivered();
        assert!(stats.loss_since(&before).is_none(), "it was made up for");
    }

    #[test]
    fn a_flush_tells_each_cause_of_its_losses() {
        let stats = ExportStats::new(Signal::Traces, "here".to_owned());
        let unreachable = || ExportFailure::new(Cause::Unreachable, "");
        let full = || ExportFailure::new(Cause::QueueFull, "the length is 8");
        stats.add_failed(5, unreachable());
        let before = stats.causes();
        assert!(stats.loss_since(&before).is_none());
        stats.add_failed(1, full());
        let message = || stats.loss_since(&before).unwrap().message;
        assert_eq!(message(), "1 span for here found the queue full: the length is 8");
        stats.add_failed(30, unreachable());
        assert_eq!(
            message(),
            "31 spans were not delivered to here (30 unreachable; 1 found the queue full: the length is 8)"
        );
        assert_eq!(
            stats.counts().end_outage(),
            Some(36),
            "with those that found the queue full meanwhile"
        );
    }
}
