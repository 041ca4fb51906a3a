//! The three signals.

use std::fmt;

use crate::text::counted;

/// A signal of OpenTelemetry: traces, metrics or logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Spans.
    Traces,
    /// Measurements of instruments.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    pub(crate) const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// Returns the plural of the signal's unit, for messages.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Signal::Traces => "spans",
            Signal::Metrics => "metric data points",
            Signal::Logs => "log records",
        }
    }

    /// Returns a number with the signal's unit: "1 span", "2 spans".
    pub(crate) fn items(self, count: u64) -> String {
        counted(count, self.unit())
    }

    /// Returns the signal's name in environment variables.
    pub(crate) fn env_name(self) -> &'static str {
        match self {
            Signal::Traces => "TRACES",
            Signal::Metrics => "METRICS",
            Signal::Logs => "LOGS",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        })
    }
}
