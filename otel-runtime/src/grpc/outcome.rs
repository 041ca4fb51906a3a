//! The outcome of an RPC: its gRPC status code, `error.type`, and span status.

use tonic::{Code, Status};

use crate::grpc::side::Side;
use crate::{limits, semconv};

/// The outcome of an RPC, as its span and metrics report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome<'a> {
    code: Code,
    /// The `error.type`, if it is more specific than the status code.
    error_type: Option<&'static str>,
    message: &'a str,
}

/// The [`error_type`](Outcome::error_type) of an outcome that the user does not call a failure,
/// though the semantic conventions do.
///
/// A value of its own, and not another field, so that other outcomes have nothing more to check.
const NO_FAILURE: &str = "";

impl<'a> Outcome<'a> {
    /// Number of values of [`Outcome::metric_index`]: the 17 status codes, a panic, and the status
    /// codes whose failure the user decides against the semantic conventions.
    pub(crate) const COUNT: usize = 18 + 17;

    pub(crate) const OK: Outcome<'static> = Outcome::new(Code::Ok, "");
    /// The caller cancelled the RPC or disconnected.
    pub(crate) const CANCELLED: Outcome<'static> = Outcome::new(Code::Cancelled, "");
    /// The caller's deadline passed.
    pub(crate) const DEADLINE_EXCEEDED: Outcome<'static> = Outcome::new(Code::DeadlineExceeded, "");

    pub(crate) const fn new(code: Code, message: &'a str) -> Self {
        Outcome {
            code,
            error_type: None,
            message,
        }
    }

    /// Creates the outcome of an RPC for which the service returned `status`.
    pub(crate) fn from_status(status: &'a Status) -> Self {
        Outcome::new(status.code(), status.message())
    }

    /// Creates the outcome of a panic in a handler: `UNKNOWN`, with `error.type` = `panic`.
    ///
    /// gRPC's table of status codes lists `UNKNOWN` for "server application throws an exception".
    pub(crate) const fn panic(message: &'a str) -> Self {
        Outcome::new(Code::Unknown, message).with_error_type(semconv::PANIC)
    }

    /// Sets an `error.type` that is more specific than the status code.
    pub(crate) const fn with_error_type(mut self, error_type: &'static str) -> Self {
        self.error_type = Some(error_type);
        self
    }

    /// Returns `true` if the handler panicked.
    pub(crate) fn is_panic(self) -> bool {
        self.error_type == Some(semconv::PANIC)
    }

    /// Makes the outcome a failure or none, if it is not that by default.
    pub(crate) fn judged(self, is_failure: bool, side: Side) -> Self {
        if self.error_type(side).is_some() == is_failure {
            self
        } else {
            self.with_error_type(if is_failure { self.code_str() } else { NO_FAILURE })
        }
    }

    pub(crate) const fn code(self) -> Code {
        self.code
    }

    pub(crate) const fn message(self) -> &'a str {
        self.message
    }

    /// Returns the value of `rpc.status_code`.
    #[inline]
    pub(crate) const fn code_str(self) -> &'static str {
        match self.code {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// Returns the value of `error.type`, or `None` if the RPC did not fail.
    ///
    /// For a client, every code but `OK` is a failure. For a server, the semantic conventions list
    /// the codes that are failures; the other codes report a mistake of the caller.
    #[inline]
    pub(crate) const fn error_type(self, side: Side) -> Option<&'static str> {
        if let Some(error_type) = self.error_type {
            return if error_type.is_empty() { None } else { self.error_type };
        }
        match (self.code, side) {
            (Code::Ok, Side::Client) => None,
            (_, Side::Client)
            | (
                Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss,
                Side::Server,
            ) => Some(self.code_str()),
            (_, Side::Server) => None,
        }
    }

    /// Returns the span status, or `None` if it stays `Unset`. Instrumentation never sets `Ok`.
    pub(crate) fn span_status(self, side: Side) -> Option<opentelemetry::trace::Status> {
        self.error_type(side)
            .map(|_| opentelemetry::trace::Status::error(limits::cut(self.message, limits::MESSAGE).to_owned()))
    }

    /// Returns an index below [`Outcome::COUNT`] for this `rpc.status_code` and `error.type`.
    ///
    /// Returns `None` for an `error.type` that is too rare to have a slot of its own.
    #[inline]
    pub(crate) fn metric_index(self) -> Option<usize> {
        match self.error_type {
            None => Some(self.code as usize),
            Some(semconv::PANIC) => Some(17),
            // The user has decided against the default, of which there is one for each code.
            Some(error_type) if error_type.is_empty() || error_type == self.code_str() => Some(18 + self.code as usize),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_status_description_is_truncated() {
        let long = "x".repeat(limits::MESSAGE + 1);
        let status = Outcome::new(Code::Internal, &long).span_status(Side::Server);
        assert_eq!(
            status,
            Some(opentelemetry::trace::Status::error("x".repeat(limits::MESSAGE)))
        );
    }

    #[test]
    fn metric_index_is_unique() {
        let mut indices: Vec<_> = (0..=16)
            .map(|code| Outcome::new(Code::from_i32(code), "").metric_index())
            .collect();
        indices.push(Outcome::panic("").metric_index());
        indices.extend((0..=16).map(|code| {
            let outcome = Outcome::new(Code::from_i32(code), "");
            let is_failure = outcome.error_type(Side::Server).is_some();
            outcome.judged(!is_failure, Side::Server).metric_index()
        }));
        assert_eq!(indices, (0..Outcome::COUNT).map(Some).collect::<Vec<_>>());
    }
}
