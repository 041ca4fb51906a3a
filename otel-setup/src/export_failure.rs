//! The reasons why telemetry was not delivered.

use std::time::{Duration, Instant};
use std::{fmt, iter};

use crate::signal::Signal;
use crate::text::by_number;

/// The time between two log lines about losses with the same cause.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The number of causes that are kept apart. Further ones are counted with the last.
const MAX_CAUSES: usize = 16;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time. The receiver may have the data.
    NotConfirmed,
    /// The receiver answered with an error.
    Refused,
    /// The receiver accepted the request, but not all of its items.
    Rejected,
    /// The answer is success, but does not come from an OTLP receiver.
    NotOtlp,
    /// The console cannot be written to.
    NotWritten,
    /// The queue was full.
    QueueFull,
    /// The shutdown leaves no time, or is over.
    TooLate,
    /// The exporter panicked.
    Panicked,
}

/// The failure of an export, with the words of the receiver.
#[derive(Clone, Debug)]
pub(crate) struct ExportFailure {
    pub(crate) cause: Cause,
    /// The status code of a receiver that refused. Empty for other causes.
    pub(crate) code: String,
    pub(crate) words: String,
    /// The number of attempts, if there were several.
    pub(crate) attempts: u32,
}

impl ExportFailure {
    pub(crate) fn new(cause: Cause, words: impl Into<String>) -> Self {
        ExportFailure {
            cause,
            code: String::new(),
            words: words.into(),
            attempts: 0,
        }
    }

    /// Returns whether the receiver may be back later. Its return is logged then.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self.cause, Cause::Unreachable | Cause::NotConfirmed)
    }

    /// Returns the code, the words and the number of attempts.
    fn reason(&self) -> String {
        let mut reason = String::new();
        for part in [&self.code, &self.words] {
            if !part.is_empty() {
                reason.extend([": ", part]);
            }
        }
        if self.attempts > 0 {
            let sentence = reason.strip_suffix('.').unwrap_or(&reason);
            reason = format!("{sentence}, after {} attempts", self.attempts);
        }
        reason
    }

    /// Returns a sentence about lost items.
    pub(crate) fn sentence(&self, count: u64, signal: Signal, endpoint: &str) -> String {
        let (items, were) = (signal.items(count), by_number(count, "was", "were"));
        match self.cause {
            Cause::NotConfirmed => format!("{items} {were} not confirmed by {endpoint}{}", self.reason()),
            Cause::QueueFull => format!("{items} for {endpoint} {self}"),
            _ => format!("{items} {were} not delivered to {endpoint}: {self}"),
        }
    }
}

impl fmt::Display for ExportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cause {
            Cause::Unreachable => "unreachable",
            Cause::NotConfirmed => "not confirmed",
            Cause::Refused => "refused",
            Cause::Rejected => "rejected",
            Cause::NotOtlp => "answered without OTLP",
            Cause::NotWritten => "not written",
            Cause::QueueFull => "found the queue full",
            Cause::TooLate => "too late for the shutdown",
            Cause::Panicked => "lost in a panic of the exporter",
        })?;
        f.write_str(&self.reason())
    }
}

/// The losses with one cause.
#[derive(Clone, Debug)]
struct CauseCount {
    /// The latest failure.
    failure: ExportFailure,
    lost: u64,
    /// All that was lost, with what was made up for.
    ever_lost: u64,
    /// The part of the loss that has not been logged.
    unlogged: u64,
    logged_at: Instant,
}

/// Losses by cause. Each cause is logged at most once a minute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Causes(Vec<CauseCount>);

impl Causes {
    /// Counts a loss. If it is to be logged now, returns the number of items and the failure.
    pub(crate) fn add(&mut self, count: u64, failure: ExportFailure, now: Instant) -> Option<(u64, ExportFailure)> {
        let is_same = |other: &CauseCount| other.failure.cause == failure.cause && other.failure.code == failure.code;
        let is_full = self.0.len() >= MAX_CAUSES;
        let known = self.0.iter().position(is_same).or(is_full.then_some(MAX_CAUSES - 1));
        let Some(known) = known else {
            self.0.push(CauseCount {
                failure: failure.clone(),
                lost: count,
                ever_lost: count,
                unlogged: 0,
                logged_at: now,
            });
            return Some((count, failure));
        };
        let known = &mut self.0[known];
        known.failure = failure;
        known.lost += count;
        known.ever_lost += count;
        known.unlogged += count;
        known.log(now)
    }

    /// Returns the losses of the first cause that has not been logged for a minute.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(u64, ExportFailure)> {
        self.0.iter_mut().find_map(|cause| cause.log(now))
    }

    /// Forgets the counts, since the losses were made up for.
    pub(crate) fn forget(&mut self) {
        for cause in &mut self.0 {
            (cause.lost, cause.unlogged) = (0, 0);
        }
    }

    /// Returns the number of items that were lost since an earlier state of this list, and a
    /// sentence about them, or `None` if there are none.
    pub(crate) fn since(&self, earlier: &Causes, signal: Signal, endpoint: &str) -> Option<(u64, String)> {
        let earlier = earlier.0.iter().map(|cause| cause.ever_lost).chain(iter::repeat(0));
        let losses = self.0.iter().zip(earlier);
        // A loss that was made up for since then is none.
        let losses = losses.map(|(cause, earlier)| (cause.lost.min(cause.ever_lost - earlier), &cause.failure));
        let losses: Vec<_> = losses.filter(|(lost, _)| *lost > 0).collect();
        let lost = losses.iter().map(|(lost, _)| lost).sum();
        let sentence = match losses[..] {
            [] => return None,
            [(_, failure)] => failure.sentence(lost, signal, endpoint),
            _ => {
                let reasons = losses.iter().map(|(lost, failure)| format!("{lost} {failure}"));
                let reasons = reasons.collect::<Vec<_>>().join("; ");
                let items = signal.items(lost);
                format!("{items} were not delivered to {endpoint} ({reasons})")
            }
        };
        Some((lost, sentence))
    }

    /// Returns the numbers of lost items with their causes.
    pub(crate) fn losses(&self) -> impl Iterator<Item = (u64, &ExportFailure)> {
        let causes = self.0.iter().map(|cause| (cause.lost, &cause.failure));
        causes.filter(|(lost, failure)| *lost > 0 || failure.cause == Cause::NotWritten)
    }
}

impl CauseCount {
    fn log(&mut self, now: Instant) -> Option<(u64, ExportFailure)> {
        if self.unlogged == 0 || now.duration_since(self.logged_at) < LOG_INTERVAL {
            return None;
        }
        self.logged_at = now;
        Some((std::mem::take(&mut self.unlogged), self.failure.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> ExportFailure {
        ExportFailure {
            cause: Cause::Refused,
            code: code.to_owned(),
            words: "by the test".to_owned(),
            attempts: 0,
        }
    }

    #[test]
    fn each_cause_is_logged_once_a_minute_with_the_count() {
        let mut causes = Causes::default();
        let start = Instant::now();
        let mut add = |seconds, count, code| {
            let logged = causes.add(count, refused(code), start + Duration::from_secs(seconds));
            logged.map(|(count, failure)| format!("{count} {failure}"))
        };
        assert_eq!(add(0, 5, "401").as_deref(), Some("5 refused: 401: by the test"));
        assert_eq!(add(1, 5, "401"), None);
        assert_eq!(add(2, 1, "413").as_deref(), Some("1 refused: 413: by the test"));
        assert_eq!(add(59, 5, "401"), None);
        assert_eq!(add(60, 5, "401").as_deref(), Some("15 refused: 401: by the test"));
        assert_eq!(add(61, 5, "401"), None);
        assert!(causes.due(start + Duration::from_secs(119)).is_none());
        let (count, failure) = causes.due(start + Duration::from_secs(120)).unwrap();
        assert_eq!((count, &*failure.code), (5, "401"));
        let losses: Vec<u64> = causes.losses().map(|(lost, _)| lost).collect();
        assert_eq!(losses, [25, 1]);
    }

    #[test]
    fn many_causes_need_little_memory() {
        let mut causes = Causes::default();
        for code in 0..1000 {
            causes.add(1, refused(&code.to_string()), Instant::now());
        }
        assert_eq!(causes.losses().count(), MAX_CAUSES);
        assert_eq!(causes.losses().map(|(lost, _)| lost).sum::<u64>(), 1000);
    }
}
