//! The machinery of flush and shutdown: blocking work on threads, with a timeout.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::oneshot;

use crate::error::{Failure, ShutdownError};
use crate::signal::Signal;
use crate::threads;

/// Runs blocking work on a new thread and waits for it without blocking the caller's runtime.
pub(crate) async fn run_blocking(
    work: impl FnOnce() -> Result<(), ShutdownError> + Send + 'static,
) -> Result<(), ShutdownError> {
    let (done, result) = oneshot::channel();
    let work = move || {
        // The receiver is gone if the caller's future was dropped.
        let _ = done.send(work());
    };
    let result = match spawn(Box::new(work)) {
        Ok(_) => result.await.map_err(|error| error.to_string()),
        Err(error) => Err(no_thread(&error)),
    };
    result.unwrap_or_else(|reason| Err(ShutdownError::for_all_signals(&reason)))
}

/// Starts a thread for a part of a shutdown, or of a flush.
pub(crate) fn spawn(work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    threads::spawn("otel-shutdown", work)
}

fn no_thread(error: &io::Error) -> String {
    format!("cannot start a thread: {error}")
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
        drop(stage);
        self.wait(deadline, timed_out).expect("it has begun")
    }

    /// Waits for the result of the shutdown until the deadline. `None` if it has not begun.
    pub(crate) fn wait(
        &self,
        deadline: Instant,
        timed_out: impl FnOnce() -> ShutdownError,
    ) -> Option<Result<(), ShutdownError>> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*stage {
                Stage::Running => return None,
                Stage::ShuttingDown => {}
                Stage::Done(result) => return Some(result.clone()),
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Some(Err(timed_out()));
            }
            let waited = self.changed.wait_timeout(stage, remaining);
            (stage, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The task of providers and processors.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Flush,
    ShutDown(Duration),
}

/// Work of one signal.
pub(crate) type Job = Box<dyn FnOnce() -> OTelSdkResult + Send>;

pub(crate) fn job(work: impl FnOnce() -> OTelSdkResult + Send + 'static) -> Job {
    Box::new(work)
}

/// The results of the jobs that have ended, and a signal for each. `None` if a job panicked.
#[derive(Default)]
struct Results {
    ended: Mutex<Vec<(Signal, Option<OTelSdkResult>)>>,
    changed: Condvar,
}

impl Results {
    fn add(&self, signal: Signal, result: Option<OTelSdkResult>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push((signal, result));
        self.changed.notify_all();
    }

    /// Takes the results that there are, and waits for one until the deadline if there is none.
    fn take(&self, deadline: Instant) -> Vec<(Signal, Option<OTelSdkResult>)> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let remaining = deadline.saturating_duration_since(Instant::now());
        let waited = self
            .changed
            .wait_timeout_while(ended, remaining, |ended| ended.is_empty());
        let (mut ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *ended)
    }
}

/// Runs the jobs of the signals at the same time, each on its own thread, and returns the failures.
///
/// A job that hangs delays no other job, and the caller waits no longer than the timeout.
pub(crate) fn run_all(timeout: Duration, jobs: [Option<Job>; 3]) -> Vec<Failure> {
    let deadline = deadline_after(timeout);
    let results = Arc::<Results>::default();
    let mut failures = Vec::new();
    let mut running = Vec::new();
    for (signal, job) in Signal::ALL.into_iter().zip(jobs) {
        let Some(job) = job else { continue };
        let results = Arc::clone(&results);
        let work = move || results.add(signal, catch_unwind(AssertUnwindSafe(job)).ok());
        match spawn(Box::new(work)) {
            Ok(_) => running.push(signal),
            Err(error) => failures.push(Failure::new(signal, no_thread(&error))),
        }
    }
    while !running.is_empty() {
        let ended = results.take(deadline);
        if ended.is_empty() {
            let late = |signal| Failure::new(signal, timeout_message(timeout));
            failures.extend(running.drain(..).map(late));
        }
        for (signal, result) in ended {
            running.retain(|other| *other != signal);
            let reason = match result {
                Some(result) => failure(result, timeout),
                None => Some("an exporter or a processor panicked".to_owned()),
            };
            failures.extend(reason.map(|reason| Failure::new(signal, reason)));
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
