//! Environment variables that exist once per signal and once for all signals.

use std::fmt::Display;

use crate::env::Env;
use crate::signal::Signal;

/// The two names of a variable such as `ENDPOINT`: the signal's, which takes precedence, and the
/// general one.
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

    /// Returns the name and value of the first variable that is set.
    pub(super) fn text(&self, env: &Env) -> Option<(&str, String)> {
        env.first_set(self.0.each_ref().map(String::as_str))
    }

    /// Returns the known value of the first variable that has one.
    pub(super) fn one_of<T: Copy>(&self, env: &Env, known: &[(&str, T)], fallback: &str) -> Option<T> {
        self.first_valid(fallback, |name, fallback| {
            env.one_of(name, known, &fallback.to_string())
        })
    }

    /// Reads the signal's variable. If it is unset or invalid, reads the general one.
    pub(super) fn first_valid<T>(
        &self,
        fallback: impl Display,
        read: impl Fn(&str, &dyn Display) -> Option<T>,
    ) -> Option<T> {
        let [specific, general] = &self.0;
        let general_fallback = format_args!("{general}, or {fallback} by default").to_string();
        read(specific, &general_fallback).or_else(|| read(general, &fallback))
    }
}
