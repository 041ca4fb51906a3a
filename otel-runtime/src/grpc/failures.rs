//! The user's decision on which status codes are failures.

use std::sync::Arc;

use tonic::Code;

use super::outcome::Outcome;
use super::side::Side;
use crate::guard;

type IsFailure = dyn Fn(&str, Code) -> Option<bool> + Send + Sync;

/// The user's function that decides by method and code which outcomes are failures.
#[derive(Clone)]
pub(crate) struct Failures(Arc<IsFailure>);

impl Failures {
    pub(crate) fn new(is_failure: impl Fn(&str, Code) -> Option<bool> + Send + Sync + 'static) -> Self {
        Failures(Arc::new(is_failure))
    }

    /// Returns the outcome as the function judges it.
    ///
    /// `OK` is never a failure, and a panic always is, so the function is not called for these.
    pub(crate) fn judge<'a>(&self, method: &str, side: Side, outcome: Outcome<'a>) -> Outcome<'a> {
        if outcome.code() == Code::Ok || outcome.is_panic() {
            return outcome;
        }
        match guard::FAILURES.run(|| (self.0)(method, outcome.code())).flatten() {
            Some(is_failure) => outcome.judged(is_failure, side),
            None => outcome,
        }
    }
}
