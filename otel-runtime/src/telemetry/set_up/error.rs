//! What can go wrong when telemetry is set up.

use std::error::Error;
use std::fmt::{self, Display};

/// Why telemetry could not be set up. Its text says what to write instead.
#[derive(Debug)]
pub struct InitError {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl InitError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        InitError {
            message: message.into(),
            source: None,
        }
    }

    /// For a value of an environment variable that cannot be used.
    pub(super) fn of_variable(name: &str, value: &str, what: impl Display) -> Self {
        InitError::new(format!("{name}={value:?} {what}"))
    }

    #[cfg_attr(not(feature = "otlp"), allow(dead_code))]
    pub(super) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
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
