//! Variables that each signal may have of its own.

use std::fmt::Display;

use crate::env::Environment;
use crate::signal::Signal;

/// The names of a variable, `ENDPOINT` say: the signal's own, which goes first, and the general one.
#[derive(Clone, Debug)]
pub(super) struct Names([String; 2]);

impl Names {
    pub(super) fn of(signal: Signal, variable: &str) -> Self {
        Names([
            format!("OTEL_EXPORTER_OTLP_{}_{variable}", signal.in_variables()),
            format!("OTEL_EXPORTER_OTLP_{variable}"),
        ])
    }

    pub(super) fn general(&self) -> &str {
        &self.0[1]
    }

    /// The first that is set, with its name.
    pub(super) fn text(&self, environment: &Environment) -> Option<(&str, String)> {
        environment.first_of(self.0.each_ref().map(String::as_str))
    }

    /// One of a few known words: of the first that has one of them.
    pub(super) fn one_of<T: Copy>(&self, environment: &Environment, known: &[(&str, T)], instead: &str) -> Option<T> {
        self.first_that(instead, |name, instead| {
            environment.one_of(name, known, &instead.to_string())
        })
    }

    /// Goes on with the general variable where the signal's own is not set, or malformed.
    pub(super) fn first_that<T>(
        &self,
        instead: impl Display,
        read: impl Fn(&str, &dyn Display) -> Option<T>,
    ) -> Option<T> {
        let [own, general] = &self.0;
        let of_general = format_args!("what {general} says, else {instead}").to_string();
        read(own, &of_general).or_else(|| read(general, &instead))
    }
}
