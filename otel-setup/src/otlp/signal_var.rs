//! Variables that each signal may have of its own.

use std::fmt::Display;

use crate::env::Env;
use crate::signal::Signal;

/// The names of a variable, `ENDPOINT` say: the signal's own, which goes first, and the general one.
#[derive(Clone, Debug)]
pub(super) struct SignalVar([String; 2]);

impl SignalVar {
    pub(super) fn new(signal: Signal, variable: &str) -> Self {
        SignalVar([
            format!("OTEL_EXPORTER_OTLP_{}_{variable}", signal.env_name()),
            format!("OTEL_EXPORTER_OTLP_{variable}"),
        ])
    }

    pub(super) fn general(&self) -> &str {
        &self.0[1]
    }

    /// The first that is set, with its name.
    pub(super) fn text(&self, env: &Env) -> Option<(&str, String)> {
        env.first_of(self.0.each_ref().map(String::as_str))
    }

    /// One of a few known words: of the first that has one of them.
    pub(super) fn one_of<T: Copy>(&self, env: &Env, known: &[(&str, T)], instead: &str) -> Option<T> {
        self.first_valid(instead, |name, instead| env.one_of(name, known, &instead.to_string()))
    }

    /// Goes on with the general variable where the signal's own is not set, or malformed.
    pub(super) fn first_valid<T>(
        &self,
        instead: impl Display,
        read: impl Fn(&str, &dyn Display) -> Option<T>,
    ) -> Option<T> {
        let [own, general] = &self.0;
        let of_general = format_args!("what {general} says, else {instead}").to_string();
        read(own, &of_general).or_else(|| read(general, &instead))
    }
}
