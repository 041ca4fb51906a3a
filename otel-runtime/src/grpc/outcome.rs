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
    /// Whether it is a failure, if the user decides against the default.
    judged: Option<bool>,
}

impl<'a> Outcome<'a> {
    /// Number of values of [`Outcome::metric_index`]: the 17 status codes, and a panic.
    pub(crate) const COUNT: usize = 18;

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
            judged: None,
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

    /// Makes the outcome a failure or none, where that is not the default.
    pub(crate) fn judged(mut self, is_failure: bool, side: Side) -> Self {
        self.judged = Some(is_failure).filter(|_| self.error_type(side).is_some() != is_failure);
        self
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
        match (self.code, side) {
            _ if matches!(self.judged, Some(false)) => None,
            _ if self.error_type.is_some() => self.error_type,
            _ if self.judged.is_some() => Some(self.code_str()),
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
    /// Returns `None` for an `error.type` that is too rare to have a slot of its own, and for an
    /// outcome that the user has judged.
    #[inline]
    pub(crate) fn metric_index(self) -> Option<usize> {
        match self.error_type {
            _ if self.judged.is_some() => None,
            None => Some(self.code as usize),
            Some(semconv::PANIC) => Some(Outcome::COUNT - 1),
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
        assert_eq!(indices, (0..Outcome::COUNT).map(Some).collect::<Vec<_>>());
    }
}
