//! Runs the shutdown once, on threads of its own, within a limit of time.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::oneshot;

use crate::error::{Failure, ShutdownError};
use crate::signal::Signal;

/// Waits for what blocks without blocking the runtime, whichever that is.
pub(crate) async fn run_blocking(
    work: impl FnOnce() -> Result<(), ShutdownError> + Send + 'static,
) -> Result<(), ShutdownError> {
    let (done, outcome) = oneshot::channel();
    let work = move || {
        // Whoever waited may have gone.
        let _ = done.send(work());
    };
    let outcome = match spawn(work) {
        Ok(()) => outcome.await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|reason| Err(ShutdownError::for_all_signals(&reason)))
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = thread::Builder::new().name("otel-shutdown".to_owned()).spawn(work);
    thread
        .map(drop)
        .map_err(|error| format!("no thread could be had: {error}"))
}

/// How far the one shutdown is.
#[derive(Debug, Default)]
pub(crate) struct ShutdownOnce {
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

impl ShutdownOnce {
    pub(crate) fn is_done(&self) -> bool {
        matches!(
            *self.stage.lock().unwrap_or_else(PoisonError::into_inner),
            Stage::Done(_)
        )
    }

    /// Whoever comes first shuts down, and all others wait for that, up to their own limits.
    pub(crate) fn once(
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

/// All signals at the same time, each on a thread of its own: one that hangs does not cost the others their time.
pub(crate) fn each(limit: Duration, jobs: [Option<Job>; 3]) -> Vec<Failure> {
    let deadline = deadline(limit);
    let (done, outcomes) = mpsc::channel();
    let mut failures = Vec::new();
    let mut waited_for = Vec::new();
    for (signal, job) in Signal::ALL.into_iter().zip(jobs) {
        let Some(job) = job else { continue };
        let done = done.clone();
        match spawn(move || drop(done.send((signal, job())))) {
            Ok(()) => waited_for.push(signal),
            Err(reason) => failures.push(Failure::new(signal, reason)),
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
                    Err(OTelSdkError::Timeout(_)) => failures.push(Failure::new(signal, too_slow(limit))),
                    Err(OTelSdkError::InternalFailure(reason)) => failures.push(Failure::new(signal, reason)),
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                failures.extend(waited_for.drain(..).map(|signal| Failure::new(signal, too_slow(limit))));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let panicked = |signal| Failure::new(signal, "an exporter panicked".to_owned());
                failures.extend(waited_for.drain(..).map(panicked));
            }
        }
    }
    failures
}

pub(crate) type Job = Box<dyn FnOnce() -> OTelSdkResult + Send>;

pub(crate) fn job(work: impl FnOnce() -> OTelSdkResult + Send + 'static) -> Job {
    Box::new(work)
}

pub(crate) fn too_slow(limit: Duration) -> String {
    format!("not done within {limit:?}")
}

/// When a limit ends: one that is too long for the clock, never.
pub(crate) fn deadline(limit: Duration) -> Instant {
    const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + limit.min(A_YEAR)
}
