//! The machinery of flush and shutdown: blocking work on threads, with a timeout.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::oneshot;

use crate::error::{Failure, ShutdownError};
use crate::signal::Signal;

/// Runs blocking work on a new thread and waits for it without blocking the caller's runtime.
pub(crate) async fn run_blocking(
    work: impl FnOnce() -> Result<(), ShutdownError> + Send + 'static,
) -> Result<(), ShutdownError> {
    let (done, result) = oneshot::channel();
    let work = move || {
        // The receiver is gone if the caller's future was dropped.
        let _ = done.send(work());
    };
    let result = match spawn(work) {
        Ok(()) => result.await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    result.unwrap_or_else(|reason| Err(ShutdownError::for_all_signals(&reason)))
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = thread::Builder::new().name("otel-shutdown".to_owned()).spawn(work);
    thread
        .map(drop)
        .map_err(|error| format!("cannot start a thread: {error}"))
}

/// A shutdown that runs at most once.
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

    /// Runs the shutdown on the first call. Other calls wait for its result until their own
    /// deadline.
    pub(crate) fn run(
        &self,
        deadline: Instant,
        timed_out: impl FnOnce() -> ShutdownError,
        shut_down: impl FnOnce() -> Result<(), ShutdownError>,
    ) -> Result<(), ShutdownError> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*stage, Stage::Running) {
            *stage = Stage::ShuttingDown;
            drop(stage);
            let result = shut_down();
            *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage::Done(result.clone());
            self.changed.notify_all();
            return result;
        }
        loop {
            if let Stage::Done(result) = &*stage {
                return result.clone();
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err(timed_out());
            }
            let waited = self.changed.wait_timeout(stage, remaining);
            (stage, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Work of one signal.
pub(crate) type Job = Box<dyn FnOnce() -> OTelSdkResult + Send>;

pub(crate) fn job(work: impl FnOnce() -> OTelSdkResult + Send + 'static) -> Job {
    Box::new(work)
}

/// Runs the jobs of the signals at the same time, each on its own thread, and returns the failures.
///
/// A job that hangs delays no other job, and the caller waits no longer than the timeout.
pub(crate) fn run_all(timeout: Duration, jobs: [Option<Job>; 3]) -> Vec<Failure> {
    let deadline = deadline_after(timeout);
    let (done, results) = mpsc::channel();
    let mut failures = Vec::new();
    let mut running = Vec::new();
    for (signal, job) in Signal::ALL.into_iter().zip(jobs) {
        let Some(job) = job else { continue };
        let done = done.clone();
        match spawn(move || drop(done.send((signal, job())))) {
            Ok(()) => running.push(signal),
            Err(reason) => failures.push(Failure::new(signal, reason)),
        }
    }
    drop(done);
    while !running.is_empty() {
        let remaining = deadline.saturating_duration_since(Instant::now());
        match results.recv_timeout(remaining) {
            Ok((signal, result)) => {
                running.retain(|other| *other != signal);
                failures.extend(failure(result, timeout).map(|reason| Failure::new(signal, reason)));
            }
            Err(error) => {
                let reason = match error {
                    RecvTimeoutError::Timeout => timeout_message(timeout),
                    RecvTimeoutError::Disconnected => "an exporter panicked".to_owned(),
                };
                failures.extend(running.drain(..).map(|signal| Failure::new(signal, reason.clone())));
            }
        }
    }
    failures
}

/// Returns the reason of a failed job.
fn failure(result: OTelSdkResult, timeout: Duration) -> Option<String> {
    match result {
        // The program may have shut the global provider down itself.
        Ok(()) | Err(OTelSdkError::AlreadyShutdown) => None,
        Err(OTelSdkError::Timeout(_)) => Some(timeout_message(timeout)),
        Err(OTelSdkError::InternalFailure(reason)) => Some(reason),
    }
}

pub(crate) fn timeout_message(timeout: Duration) -> String {
    format!("not finished within {timeout:?}")
}

/// Returns the end of the timeout. A timeout that [`Instant`] cannot represent is cut to a year.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + timeout.min(YEAR)
}
