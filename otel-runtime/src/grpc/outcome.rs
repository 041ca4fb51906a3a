//! How an RPC ended, in gRPC's and OpenTelemetry's words.

use tonic::{Code, Status};

use crate::grpc::side::Side;
use crate::{limits, semconv};

/// The end of an RPC as span and metrics tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome<'a> {
    code: Code,
    /// `error.type` where it is not the code.
    error_type: Option<&'static str>,
    message: &'a str,
}

impl<'a> Outcome<'a> {
    /// How many outcomes [`Outcome::metric_index`] tells apart: the 17 codes, and a panic.
    pub(crate) const COUNT: usize = 18;

    pub(crate) const OK: Outcome<'static> = Outcome::new(Code::Ok, "");
    /// The caller went away.
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

    /// What the service returned.
    pub(crate) fn from_status(status: &'a Status) -> Self {
        Outcome::new(status.code(), status.message())
    }

    /// UNKNOWN is what gRPC's table of generated codes gives for "server application throws an exception".
    pub(crate) const fn panic(message: &'a str) -> Self {
        Outcome::new(Code::Unknown, message).with_error_type(semconv::PANIC)
    }

    /// The same, for a reason that tells more than the code.
    pub(crate) const fn with_error_type(mut self, error_type: &'static str) -> Self {
        self.error_type = Some(error_type);
        self
    }

    pub(crate) const fn code(self) -> Code {
        self.code
    }

    pub(crate) const fn message(self) -> &'a str {
        self.message
    }

    /// `rpc.status_code`.
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

    /// `error.type`; `None` where the RPC did not fail.
    ///
    /// A client's RPC failed with every code but `OK`. Which codes are a server's own failures is the table of the gRPC conventions: the others tell the caller that it did something wrong.
    #[inline]
    pub(crate) const fn error_type(self, side: Side) -> Option<&'static str> {
        match (self.code, side) {
            _ if self.error_type.is_some() => self.error_type,
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

    /// The span's status, if it is not Unset. Instrumentation never sets `Ok`.
    pub(crate) fn span_status(self, side: Side) -> Option<opentelemetry::trace::Status> {
        self.error_type(side)
            .map(|_| opentelemetry::trace::Status::error(limits::cut(self.message, limits::MESSAGE).to_owned()))
    }

    /// A number below [`Outcome::COUNT`], the same for all outcomes with the same `rpc.status_code` and `error.type`. `None` for those that are too rare to be counted.
    #[inline]
    pub(crate) fn metric_index(self) -> Option<usize> {
        match self.error_type {
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
    fn a_description_has_an_end() {
        let long = "x".repeat(limits::MESSAGE + 1);
        let status = Outcome::new(Code::Internal, &long).span_status(Side::Server);
        assert_eq!(
            status,
            Some(opentelemetry::trace::Status::error("x".repeat(limits::MESSAGE)))
        );
    }

    #[test]
    fn every_outcome_has_an_index_of_its_own() {
        let mut indices: Vec<_> = (0..=16)
            .map(|code| Outcome::new(Code::from_i32(code), "").metric_index())
            .collect();
        indices.push(Outcome::panic("").metric_index());
        assert_eq!(indices, (0..Outcome::COUNT).map(Some).collect::<Vec<_>>());
    }
}
