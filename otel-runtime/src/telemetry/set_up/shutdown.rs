//! The end: what is still there goes out, within a limit of time.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
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
    /// Where a signal could not be sent, or not within `limit`, which is never exceeded.
    pub async fn shutdown(&self, limit: Duration) -> Result<(), ShutdownError> {
        let providers = Arc::clone(&self.providers);
        on_a_thread(move || providers.shut_down(limit)).await
    }

    /// Sends out what is there now.
    ///
    /// # Errors
    ///
    /// Where a signal could not be sent, or not within `limit`, which is never exceeded.
    pub async fn flush(&self, limit: Duration) -> Result<(), ShutdownError> {
        let providers = Arc::clone(&self.providers);
        on_a_thread(move || providers.flush(limit)).await
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if self.providers.shut_down.get().is_some() {
            return;
        }
        if let Err(error) = self.providers.shut_down(LIMIT_OF_DROP) {
            tracing::error!("{error}");
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

impl Providers {
    fn shut_down(&self, limit: Duration) -> Result<(), ShutdownError> {
        let outcome = self.shut_down.get_or_init(|| {
            self.each(
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
            )
        });
        outcome.clone()
    }

    fn flush(&self, limit: Duration) -> Result<(), ShutdownError> {
        self.each(
            limit,
            [
                self.tracers.clone().map(|tracers| job(move || tracers.force_flush())),
                self.meters.clone().map(|meters| job(move || meters.force_flush())),
                self.loggers.clone().map(|loggers| job(move || loggers.force_flush())),
            ],
        )
    }

    /// All signals at the same time, each on a thread of its own: one that hangs does not cost the others their time.
    #[allow(clippy::unused_self)]
    fn each(&self, limit: Duration, jobs: [Option<Job>; 3]) -> Result<(), ShutdownError> {
        let deadline = Instant::now() + limit;
        let (done, outcomes) = mpsc::channel();
        let mut failures = Vec::new();
        let mut waited_for = Vec::new();
        for (signal, job) in Signal::ALL.into_iter().zip(jobs) {
            let Some(job) = job else { continue };
            let done = done.clone();
            match spawn(move || drop(done.send((signal, job())))) {
                Ok(()) => waited_for.push(signal),
                Err(reason) => failures.push((signal, reason)),
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
                        Err(OTelSdkError::Timeout(_)) => failures.push((signal, too_slow(limit))),
                        Err(OTelSdkError::InternalFailure(reason)) => failures.push((signal, reason)),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    failures.extend(waited_for.drain(..).map(|signal| (signal, too_slow(limit))));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    failures.extend(
                        waited_for
                            .drain(..)
                            .map(|signal| (signal, "an exporter panicked".to_owned())),
                    );
                }
            }
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(ShutdownError { failures })
        }
    }
}

type Job = Box<dyn FnOnce() -> OTelSdkResult + Send>;

fn job(work: impl FnOnce() -> OTelSdkResult + Send + 'static) -> Job {
    Box::new(work)
}

fn too_slow(limit: Duration) -> String {
    format!("not done within {limit:?}")
}

/// What could not be sent at the end, and why.
#[derive(Clone, Debug)]
pub struct ShutdownError {
    failures: Vec<(Signal, String)>,
}

impl ShutdownError {
    fn of_all(reason: &str) -> Self {
        let failures = Signal::ALL.map(|signal| (signal, reason.to_owned()));
        ShutdownError {
            failures: failures.into(),
        }
    }
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("telemetry was lost: ")?;
        for (index, (signal, reason)) in self.failures.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{signal}: {reason}")?;
        }
        Ok(())
    }
}

impl Error for ShutdownError {}
