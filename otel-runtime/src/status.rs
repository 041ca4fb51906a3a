//! How an RPC ended, in gRPC's and OpenTelemetry's words.

use tonic::{Code, Status};

use crate::semconv;

/// The end of an RPC as span and metrics tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome<'a> {
    code: Code,
    panicked: bool,
    message: &'a str,
}

impl<'a> Outcome<'a> {
    /// How many outcomes [`Outcome::index`] tells apart: the 17 codes, and a panic.
    pub(crate) const COUNT: usize = 18;

    pub(crate) const OK: Outcome<'static> = Outcome::without_message(Code::Ok);
    /// The caller went away.
    pub(crate) const CANCELLED: Outcome<'static> = Outcome::without_message(Code::Cancelled);
    /// The caller's deadline passed.
    pub(crate) const DEADLINE_EXCEEDED: Outcome<'static> = Outcome::without_message(Code::DeadlineExceeded);

    const fn without_message(code: Code) -> Outcome<'static> {
        Outcome {
            code,
            panicked: false,
            message: "",
        }
    }

    /// What the service returned.
    pub(crate) fn returned(status: &'a Status) -> Self {
        Outcome {
            code: status.code(),
            panicked: false,
            message: status.message(),
        }
    }

    /// UNKNOWN is what gRPC's table of generated codes gives for "server application throws an exception".
    pub(crate) fn panicked(message: &'a str) -> Self {
        Outcome {
            code: Code::Unknown,
            panicked: true,
            message,
        }
    }

    /// `rpc.status_code`.
    pub(crate) const fn code_name(self) -> &'static str {
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

    /// `error.type` of a SERVER span and of a server's metrics; `None` where the server did not fail.
    ///
    /// Which codes are a server's own failures is the table of the gRPC conventions: the others tell the caller that it did something wrong.
    pub(crate) const fn server_error_type(self) -> Option<&'static str> {
        match self.code {
            _ if self.panicked => Some(semconv::PANIC),
            Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Some(self.code_name()),
            _ => None,
        }
    }

    /// The span status of a SERVER span, if it is not Unset. Instrumentation never sets `Ok`.
    pub(crate) fn server_span_status(self) -> Option<opentelemetry::trace::Status> {
        self.server_error_type()
            .map(|_| opentelemetry::trace::Status::error(self.message.to_owned()))
    }

    /// A number below [`Outcome::COUNT`], the same for all outcomes with the same `rpc.status_code` and `error.type`.
    pub(crate) const fn index(self) -> usize {
        if self.panicked {
            Outcome::COUNT - 1
        } else {
            self.code as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_an_index_of_its_own() {
        let mut indices: Vec<usize> = (0..=16)
            .map(|code| Outcome::without_message(Code::from_i32(code)).index())
            .collect();
        indices.push(Outcome::panicked("").index());
        assert_eq!(indices, (0..Outcome::COUNT).collect::<Vec<_>>());
    }
}
