//! The end: what is still there goes out, within a limit of time.

use std::error::Error;
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::oneshot;

use super::signal::Signal;
use super::{Providers, Telemetry};

/// How long dropping waits.
const LIMIT_OF_DROP: Duration = Duration::from_secs(5);

impl Telemetry {
    /// Sends out what is still there, and ends. What is recorded after that is lost.
    ///
    /// It can be called as often as one likes: there is one shutdown, and each call tells how that went.
    ///
    /// # Errors
    ///
    /// Where not everything that was ever recorded has arrived, or it is not known to have within `limit`, which is never exceeded. The error says how much that is, and why.
    ///
    /// ```
    /// # use otel_runtime::telemetry::{self, Signal};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let telemetry = telemetry::builder()
    /// #    .traces([]).metrics([]).logs([])
    ///     .init()?;
    /// // …
    /// if let Err(error) = telemetry.shutdown(Duration::from_secs(5)).await {
    ///     eprintln!("{error}; of spans it is {}", error.lost(Signal::Traces));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self, limit: Duration) -> Result<(), ShutdownError> {
        let providers = Arc::clone(&self.providers);
        on_a_thread(move || providers.shut_down(limit)).await
    }

    /// Sends out what is there now.
    ///
    /// # Errors
    ///
    /// Where something could not be sent, or not within `limit`, which is never exceeded. What had been lost before is [`shutdown`](Self::shutdown)'s to tell.
    pub async fn flush(&self, limit: Duration) -> Result<(), ShutdownError> {
        let providers = Arc::clone(&self.providers);
        on_a_thread(move || providers.flush(limit)).await
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if self.providers.shutdown.is_done() {
            return;
        }
        if let Err(error) = self.providers.shut_down(LIMIT_OF_DROP) {
            tracing::error!(target: "otel_runtime::telemetry", "{error}");
        }
    }
}

/// Waits for what blocks without blocking the runtime, whichever that is.
async fn on_a_thread(work: impl FnOnce() -> Result<(), ShutdownError> + Send + 'static) -> Result<(), ShutdownError> {
    let (done, outcome) = oneshot::channel();
    let work = move || {
        // Whoever waited may have gone.
        let _ = done.send(work());
    };
    let outcome = match spawn(work) {
        Ok(()) => outcome.await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|reason| Err(ShutdownError::of_all(&reason)))
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = thread::Builder::new().name("otel-shutdown".to_owned()).spawn(work);
    thread
        .map(drop)
        .map_err(|error| format!("no thread could be had: {error}"))
}

/// How far the one shutdown is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Clone, Debug, Default)]
enum Stage {
    #[default]
    Running,
    ShuttingDown,
    Done(Result<(), ShutdownError>),
}

impl Progress {
    fn is_done(&self) -> bool {
        matches!(
            *self.stage.lock().unwrap_or_else(PoisonError::into_inner),
            Stage::Done(_)
        )
    }

    /// Whoever comes first shuts down, and all others wait for that, up to their own limits.
    fn once(
        &self,
        deadline: Instant,
        too_slow: impl FnOnce() -> ShutdownError,
        shut_down: impl FnOnce() -> Result<(), ShutdownError>,
    ) -> Result<(), ShutdownError> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*stage, Stage::Running) {
            *stage = Stage::ShuttingDown;
            drop(stage);
            let outcome = shut_down();
            *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage::Done(outcome.clone());
            self.changed.notify_all();
            return outcome;
        }
        loop {
            if let Stage::Done(outcome) = &*stage {
                return outcome.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(too_slow());
            }
            let waited = self.changed.wait_timeout(stage, left);
            (stage, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Providers {
    fn shut_down(&self, limit: Duration) -> Result<(), ShutdownError> {
        let deadline = deadline(limit);
        let too_slow = || ShutdownError::of_all(&too_slow(limit));
        self.shutdown.once(deadline, too_slow, || {
            for tally in &self.tallies {
                tally.must_close_by(deadline);
            }
            let mut failures = each(
                limit,
                [
                    self.tracers
                        .clone()
                        .map(|tracers| job(move || tracers.shutdown_with_timeout(limit))),
                    self.meters
                        .clone()
                        .map(|meters| job(move || meters.shutdown_with_timeout(limit))),
                    self.loggers
                        .clone()
                        .map(|loggers| job(move || loggers.shutdown_with_timeout(limit))),
                ],
            );
            #[cfg(feature = "prometheus")]
            drop(self.prometheus.lock().unwrap_or_else(PoisonError::into_inner).take());
            for tally in &self.tallies {
                tally.wait_until_closed(deadline);
                // The books know more than the SDK, which may have stopped waiting before the time was up.
                if let Some(loss) = tally.loss(limit) {
                    failures.retain(|failure| failure.signal != tally.signal);
                    failures.push(Failure::counted(tally.signal, loss.lost, loss.text));
                } else if tally.is_closed() {
                    failures.retain(|failure| failure.signal != tally.signal || !failure.reason.contains("Timeout"));
                }
            }
            ShutdownError::of(failures)
        })
    }

    fn flush(&self, limit: Duration) -> Result<(), ShutdownError> {
        let before: Vec<u64> = self.tallies.iter().map(|tally| tally.failures().0).collect();
        let mut failures = each(
            limit,
            [
                self.tracers.clone().map(|tracers| job(move || tracers.force_flush())),
                self.meters.clone().map(|meters| job(move || meters.force_flush())),
                self.loggers.clone().map(|loggers| job(move || loggers.force_flush())),
            ],
        );
        for (tally, before) in self.tallies.iter().zip(before) {
            let (after, reason) = tally.failures();
            if let (1.., Some(reason)) = (after - before, reason) {
                failures.retain(|failure| failure.signal != tally.signal);
                failures.push(Failure::counted(tally.signal, after - before, reason));
            }
        }
        ShutdownError::of(failures)
    }
}

/// All signals at the same time, each on a thread of its own: one that hangs does not cost the others their time.
fn each(limit: Duration, jobs: [Option<Job>; 3]) -> Vec<Failure> {
    let deadline = deadline(limit);
    let (done, outcomes) = mpsc::channel();
    let mut failures = Vec::new();
    let mut waited_for = Vec::new();
    for (signal, job) in Signal::ALL.into_iter().zip(jobs) {
        let Some(job) = job else { continue };
        let done = done.clone();
        match spawn(move || drop(done.send((signal, job())))) {
            Ok(()) => waited_for.push(signal),
            Err(reason) => failures.push(Failure::of(signal, reason)),
        }
    }
    drop(done);
    while !waited_for.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        match outcomes.recv_timeout(left) {
            Ok((signal, outcome)) => {
                waited_for.retain(|other| *other != signal);
                match outcome {
                    // Somebody did it before us, with a provider taken from the globals.
                    Ok(()) | Err(OTelSdkError::AlreadyShutdown) => {}
                    Err(OTelSdkError::Timeout(_)) => failures.push(Failure::of(signal, too_slow(limit))),
                    Err(OTelSdkError::InternalFailure(reason)) => failures.push(Failure::of(signal, reason)),
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                failures.extend(waited_for.drain(..).map(|signal| Failure::of(signal, too_slow(limit))));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let panicked = |signal| Failure::of(signal, "an exporter panicked".to_owned());
                failures.extend(waited_for.drain(..).map(panicked));
            }
        }
    }
    failures
}

type Job = Box<dyn FnOnce() -> OTelSdkResult + Send>;

fn job(work: impl FnOnce() -> OTelSdkResult + Send + 'static) -> Job {
    Box::new(work)
}

fn too_slow(limit: Duration) -> String {
    format!("not done within {limit:?}")
}

/// When a limit ends: one that is too long for the clock, never.
fn deadline(limit: Duration) -> Instant {
    const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + limit.min(A_YEAR)
}

/// What could not be sent, and why.
///
/// ```text
/// telemetry was lost: traces: 12 of 100 spans did not arrive at http://localhost:4317 (tcp connect error: Connection refused)
/// ```
#[derive(Clone, Debug)]
pub struct ShutdownError {
    failures: Vec<Failure>,
}

#[derive(Clone, Debug)]
struct Failure {
    signal: Signal,
    lost: u64,
    reason: String,
}

impl Failure {
    fn of(signal: Signal, reason: String) -> Self {
        Failure::counted(signal, 0, reason)
    }

    fn counted(signal: Signal, lost: u64, reason: String) -> Self {
        Failure { signal, lost, reason }
    }
}

impl ShutdownError {
    fn of(mut failures: Vec<Failure>) -> Result<(), Self> {
        failures.sort_by_key(|failure| Signal::ALL.iter().position(|signal| *signal == failure.signal));
        if failures.is_empty() {
            Ok(())
        } else {
            Err(ShutdownError { failures })
        }
    }

    fn of_all(reason: &str) -> Self {
        let failures = Signal::ALL.map(|signal| Failure::of(signal, reason.to_owned()));
        ShutdownError {
            failures: failures.into(),
        }
    }

    /// How many spans, metric points or log records are not known to have arrived at the receiver of the exporter `otlp`. What goes elsewhere is not counted.
    #[must_use]
    pub fn lost(&self, signal: Signal) -> u64 {
        let of_signal = self.failures.iter().filter(|failure| failure.signal == signal);
        of_signal.map(|failure| failure.lost).sum()
    }
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("telemetry was lost: ")?;
        for (index, failure) in self.failures.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", failure.signal, failure.reason)?;
        }
        Ok(())
    }
}

impl Error for ShutdownError {}
