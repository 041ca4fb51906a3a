//! The errors of the setup and of the shutdown.

use std::error::Error;
use std::fmt::{self, Display};

use crate::signal::Signal;

/// An error that prevented the setup. The message explains what to change.
#[derive(Debug)]
pub struct InitError {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl InitError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        InitError {
            message: message.into(),
            source: None,
        }
    }

    /// Returns the error of an environment variable with an unusable value.
    pub(crate) fn invalid_variable(name: &str, value: &str, problem: impl Display) -> Self {
        InitError::new(format!("{name}={value:?} {problem}"))
    }

    /// Names the places of a configuration file instead of variables.
    #[cfg(feature = "config-file")]
    pub(crate) fn in_places(mut self, env: &crate::env::Env) -> Self {
        self.message = env.in_places(self.message);
        self
    }

    #[cfg(not(feature = "config-file"))]
    pub(crate) fn in_places(self, _: &crate::env::Env) -> Self {
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for InitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error of a shutdown or a flush: telemetry that was not exported, and the reasons.
///
/// ```text
/// telemetry was lost: traces: 12 of 100 spans were not delivered to http://localhost:4317
///     (10 unreachable: tcp connect error: Connection refused, after 14 attempts; 2 had not ended)
/// ```
#[derive(Clone, Debug)]
pub struct ShutdownError {
    failures: Vec<Failure>,
}

/// The failure of one signal.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) signal: Signal,
    lost: u64,
    pub(crate) reason: String,
}

impl Failure {
    pub(crate) fn new(signal: Signal, reason: String) -> Self {
        Failure::with_loss(signal, 0, reason)
    }

    pub(crate) fn with_loss(signal: Signal, lost: u64, reason: String) -> Self {
        Failure { signal, lost, reason }
    }
}

impl ShutdownError {
    /// Returns an error with the failures in the order of the signals, or `Ok` if there are none.
    pub(crate) fn from_failures(mut failures: Vec<Failure>) -> Result<(), Self> {
        failures.sort_by_key(|failure| Signal::ALL.iter().position(|signal| *signal == failure.signal));
        if failures.is_empty() {
            Ok(())
        } else {
            Err(ShutdownError { failures })
        }
    }

    /// Returns an error with the same reason for every signal.
    pub(crate) fn for_all_signals(reason: &str) -> Self {
        let failures = Signal::ALL.map(|signal| Failure::new(signal, reason.to_owned()));
        ShutdownError {
            failures: failures.into(),
        }
    }

    /// Returns the number of spans, metric data points or log records that the exporters `otlp` and
    /// `console` did not deliver, added up.
    ///
    /// If a delivery was not confirmed in time, it counts as lost, and so do spans that had not
    /// ended at the shutdown. Other exporters are not counted.
    #[must_use]
    pub fn lost(&self, signal: Signal) -> u64 {
        let failures = self.failures.iter().filter(|failure| failure.signal == signal);
        failures.map(|failure| failure.lost).sum()
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
