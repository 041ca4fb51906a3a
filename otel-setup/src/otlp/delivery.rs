//! The delivery of requests: division, attempts, pauses, and the statistics of their results.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::attempt::{AttemptError, Retry};
use super::backoff::Backoff;
use super::probe::Probe;
use super::request::{Items, Request, halves};
use super::transport::Transport;
use super::words::clean;
use crate::export_failure::{Cause, ExportFailure};
use crate::export_stats::ExportStats;

/// The default limit of gRPC servers for the size of a message, and so of most receivers.
const MAX_SIZE: usize = 4 * 1024 * 1024;

/// An attempt needs at least this time.
const MIN_ATTEMPT: Duration = Duration::from_millis(20);

/// Delivers requests to one endpoint.
#[derive(Debug)]
pub(super) struct Delivery {
    transport: Transport,
    probe: Probe,
    /// The timeout of one request, including retries.
    timeout: Duration,
    stats: Arc<ExportStats>,
    /// Whether the receiver has ever answered.
    was_answered: AtomicBool,
    warning_is_logged: AtomicBool,
}

/// The accepted part of a request.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// The number of items that have arrived.
    pub(super) count: u64,
    /// The number of those that the receiver has rejected, and its words.
    pub(super) rejected: u64,
    words: String,
    /// Whether other items have not arrived. They are counted in the statistics.
    pub(super) is_partial: bool,
}

impl Delivered {
    /// Returns the failure of the rejected items.
    pub(super) fn rejection(&self) -> ExportFailure {
        ExportFailure::new(Cause::Rejected, self.words.clone())
    }

    fn add(&mut self, count: u64, answer: &ExportTracePartialSuccess) {
        self.count += count;
        let rejected = u64::try_from(answer.rejected_spans).unwrap_or_default().min(count);
        if rejected > 0 {
            self.rejected += rejected;
            self.words = clean(&answer.error_message);
        }
    }
}

impl Delivery {
    pub(super) fn new(transport: Transport, probe: Probe, timeout: Duration, stats: Arc<ExportStats>) -> Self {
        Delivery {
            transport,
            probe,
            timeout,
            stats,
            was_answered: AtomicBool::default(),
            warning_is_logged: AtomicBool::default(),
        }
    }

    pub(super) fn stats(&self) -> &ExportStats {
        &self.stats
    }

    /// Sends a request, in parts if it is too large. Counts the items that do not arrive.
    ///
    /// The parts share the timeout, which begins again with each answer: a receiver that is away
    /// would hold a batch for many timeouts otherwise, while the queue gets full.
    pub(super) async fn deliver(&self, request: Request) -> Delivered {
        let mut delivered = Delivered::default();
        let mut parts = vec![request];
        let (mut started, mut last) = (Instant::now(), None);
        while let Some(mut part) = parts.pop() {
            if part.encoded_len() > MAX_SIZE {
                match halves(part) {
                    Ok([first, second]) => {
                        parts.extend([second, first]);
                        continue;
                    }
                    // A receiver may accept a single item of this size.
                    Err(single) => part = single,
                }
            }
            let count = part.count() as u64;
            let error = match self.send(part.encode(), started, last.take()).await {
                Ok(answer) => {
                    delivered.add(count, &answer);
                    started = Instant::now();
                    continue;
                }
                Err(error) => error,
            };
            match error.retry {
                Retry::Never | Retry::Halves => started = Instant::now(),
                Retry::Backoff | Retry::After(_) => last = Some(error.clone()),
            }
            let divided = (error.retry == Retry::Halves).then(|| halves(part));
            if let Some(Ok([first, second])) = divided {
                parts.extend([second, first]);
            } else {
                delivered.is_partial = true;
                self.stats.add_failed(count, error.failure);
            }
        }
        delivered
    }

    /// Sends the message of a request until it is answered, or the timeout is over. `last` is the
    /// failure of the part before, which has used some of this timeout, if there is one.
    async fn send(
        &self,
        message: Vec<u8>,
        started: Instant,
        mut last: Option<AttemptError>,
    ) -> Result<ExportTracePartialSuccess, AttemptError> {
        let mut deadline = self.stats.deadline();
        let now = Instant::now();
        if deadline.borrow().is_some_and(|end| end <= now) {
            return Err(AttemptError::new(Cause::TooLate, "", Retry::Never));
        }
        if let Some(error) = last.take_if(|_| self.end(started, &deadline) < now + MIN_ATTEMPT) {
            return Err(error);
        }
        let body = self.transport.client().body(message);
        let mut backoff = Backoff::new();
        let mut attempts = 0_u32;
        loop {
            let begun = Instant::now();
            let error = match self.attempt(&body, started, &mut deadline).await {
                Ok(message) => return self.answer(&message),
                Err(error) => error,
            };
            attempts += 1;
            let error = self.explained(error, attempts == 1).await;
            let error = self.with_certificates(error);
            let end = self.end(started, &deadline);
            // An attempt that the end has cut short reveals less than the one before.
            let is_cut = Instant::now() >= end && begun.elapsed() < Duration::from_secs(1);
            let error = last.filter(|_| is_cut).unwrap_or(error);
            let Some(until) = pause_until(&error, &mut backoff, end) else {
                return Err(with_attempts(error, attempts));
            };
            if !self.pause(until, &error, started, &mut deadline).await {
                return Err(with_attempts(error, attempts));
            }
            last = Some(error);
        }
    }

    /// Sends a body once.
    async fn attempt(
        &self,
        body: &Bytes,
        started: Instant,
        deadline: &mut watch::Receiver<Option<Instant>>,
    ) -> Result<Bytes, AttemptError> {
        let begun = Instant::now();
        let is_sent = Arc::<AtomicBool>::default();
        let client = self.transport.client();
        let mut sending = pin!(client.send(body.clone(), &is_sent));
        loop {
            let limit = self.end(started, deadline).min(begun + self.timeout);
            tokio::select! {
                result = &mut sending => return result,
                () = sleep_until(limit.into()) => {
                    let is_sent = is_sent.load(Ordering::Relaxed);
                    return Err(AttemptError::timeout(limit.duration_since(begun), is_sent));
                }
                // The shutdown has begun.
                _ = deadline.changed() => {}
            }
        }
    }

    /// Returns the time at which to give up. A shutdown has a limit of its own.
    fn end(&self, started: Instant, deadline: &watch::Receiver<Option<Instant>>) -> Instant {
        deadline.borrow().unwrap_or(started + self.timeout)
    }

    /// Waits before the next attempt. Returns false if the shutdown leaves no time for it.
    async fn pause(
        &self,
        until: Instant,
        error: &AttemptError,
        started: Instant,
        deadline: &mut watch::Receiver<Option<Instant>>,
    ) -> bool {
        loop {
            tokio::select! {
                () = sleep_until(until.into()) => return true,
                _ = deadline.changed() => {}
            }
            let end = self.end(started, deadline);
            match error.retry {
                // The shutdown is no reason to ignore the receiver's wish.
                Retry::After(_) if until >= end => return false,
                Retry::After(_) => {}
                _ => return Instant::now() < end,
            }
        }
    }

    /// Explains the failure at a port that has another protocol.
    async fn explained(&self, mut error: AttemptError, is_first: bool) -> AttemptError {
        let is_refused = error.failure.cause == Cause::Refused;
        if is_refused && !error.is_protocol_suspect {
            self.was_answered.store(true, Ordering::Relaxed);
        }
        if !is_first || !error.is_protocol_suspect || self.was_answered.load(Ordering::Relaxed) {
            return error;
        }
        let explanation = if is_refused {
            Some(self.probe.web_server())
        } else {
            self.probe.mismatch().await
        };
        if let Some(explanation) = explanation {
            error.failure.words = format!("{explanation} ({})", error.failure.words);
            error.retry = Retry::Never;
        }
        error
    }

    /// Reads certificates again when a connection fails in a way that they may be the reason for.
    fn with_certificates(&self, mut error: AttemptError) -> AttemptError {
        let is_suspect = error.failure.cause == Cause::Unreachable && error.is_protocol_suspect;
        if is_suspect && let Err(unusable) = self.transport.renew() {
            error.failure.words = format!("{}; {unusable}", error.failure.words);
        }
        error
    }

    /// Reads the answer to a request that was accepted. The answers of the three signals have the
    /// same encoding.
    fn answer(&self, message: &Bytes) -> Result<ExportTracePartialSuccess, AttemptError> {
        self.was_answered.store(true, Ordering::Relaxed);
        let answer = ExportTraceServiceResponse::decode(&**message)
            .map_err(|error| AttemptError::new(Cause::NotOtlp, error.to_string(), Retry::Never))?;
        let answer = answer.partial_success.unwrap_or_default();
        let is_warning = answer.rejected_spans <= 0 && !answer.error_message.is_empty();
        if is_warning && !self.warning_is_logged.swap(true, Ordering::Relaxed) {
            let words = clean(&answer.error_message);
            self.stats.log_warning(&words);
        }
        Ok(answer)
    }
}

/// Returns the time of the next attempt, or `None` if there is to be none before the end.
fn pause_until(error: &AttemptError, backoff: &mut Backoff, end: Instant) -> Option<Instant> {
    let now = Instant::now();
    let remaining = end.saturating_duration_since(now);
    if remaining < MIN_ATTEMPT {
        return None;
    }
    let after = match error.retry {
        Retry::Never | Retry::Halves => return None,
        Retry::Backoff => Duration::ZERO,
        Retry::After(after) => after,
    };
    // The last attempts come closer together, instead of none at the end.
    let pause = backoff.next().min(remaining / 2).max(after);
    // A receiver's wish may be longer than an `Instant` can be away.
    now.checked_add(pause).filter(|until| *until < end)
}

/// Adds the number of attempts to the failure.
fn with_attempts(mut error: AttemptError, attempts: u32) -> AttemptError {
    if attempts > 1 {
        error.failure.attempts = attempts;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the pause before the next attempt, if 10 s are left.
    fn pause(retry: Retry) -> Option<Duration> {
        let now = Instant::now();
        let error = AttemptError::new(Cause::Refused, "", retry);
        let until = pause_until(&error, &mut Backoff::new(), now + Duration::from_secs(10));
        until.map(|until| until - now)
    }

    #[test]
    fn the_receivers_pauses_are_respected_within_reason() {
        for (after, at_least) in [
            (Duration::from_secs(3), Duration::from_secs(3)),
            // Otherwise, a receiver without a wish would get request after request.
            (Duration::ZERO, Duration::from_millis(100)),
        ] {
            let pause = pause(Retry::After(after)).unwrap();
            assert!((at_least..at_least * 4).contains(&pause), "{after:?}: {pause:?}");
        }
        for after in [10, 3600, u64::MAX] {
            assert_eq!(pause(Retry::After(Duration::from_secs(after))), None, "{after} s");
        }
    }
}
