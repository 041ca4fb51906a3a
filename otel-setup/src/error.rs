//! What can go wrong when telemetry is set up.

use std::error::Error;
use std::fmt::{self, Display};

use crate::signal::Signal;

/// Why telemetry could not be set up. Its text says what to write instead.
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

    /// For a value of an environment variable that cannot be used.
    pub(crate) fn invalid_variable(name: &str, value: &str, what: impl Display) -> Self {
        InitError::new(format!("{name}={value:?} {what}"))
    }

    #[cfg_attr(not(feature = "otlp"), allow(dead_code))]
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
    pub(crate) fn from_failures(mut failures: Vec<Failure>) -> Result<(), Self> {
        failures.sort_by_key(|failure| Signal::ALL.iter().position(|signal| *signal == failure.signal));
        if failures.is_empty() {
            Ok(())
        } else {
            Err(ShutdownError { failures })
        }
    }

    pub(crate) fn for_all_signals(reason: &str) -> Self {
        let failures = Signal::ALL.map(|signal| Failure::new(signal, reason.to_owned()));
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
