//! The failure of one attempt to send a request, and whether to try again.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

#[cfg(feature = "http")]
use http::StatusCode;
use tonic::{Code, Status};

use super::google_rpc;
use super::words::{clean, is_about_answer, is_about_size, is_unknown, is_unknown_to_http, web_page};
use crate::export_failure::{Cause, ExportFailure};

/// The reaction to a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    /// Try again after an increasing pause.
    Backoff,
    /// Try again, but not before this time has passed: the receiver says so.
    After(Duration),
    /// Send halves: the receiver finds the request too large.
    Halves,
}

/// A failed attempt.
#[derive(Clone, Debug)]
pub(super) struct AttemptError {
    pub(super) failure: ExportFailure,
    pub(super) retry: Retry,
    /// Whether the connection failed, or the port refused, in a way that another protocol on the
    /// port would explain.
    pub(super) is_protocol_suspect: bool,
}

impl AttemptError {
    pub(super) fn new(cause: Cause, words: impl Into<String>, retry: Retry) -> Self {
        AttemptError {
            failure: ExportFailure::new(cause, words),
            retry,
            is_protocol_suspect: false,
        }
    }

    /// Returns the error of an attempt that has not been answered in time.
    pub(super) fn timeout(after: Duration, is_sent: bool) -> Self {
        let (cause, what) = if is_sent {
            (Cause::NotConfirmed, "response")
        } else {
            (Cause::Unreachable, "connection")
        };
        AttemptError::new(cause, format!("no {what} within {}", rounded(after)), Retry::Backoff)
    }

    /// Returns the error of a connection that cannot be made, or breaks.
    pub(super) fn unreachable(error: &(dyn Error + 'static)) -> Self {
        let mut attempt = AttemptError::new(Cause::Unreachable, chain(error), Retry::Backoff);
        attempt.is_protocol_suspect = !is_away(error);
        attempt
    }

    fn refused(code: String, words: &str, retry: Retry) -> Self {
        let mut attempt = AttemptError::new(Cause::Refused, clean(words), retry);
        attempt.failure.code = code;
        attempt
    }

    /// Reads a gRPC status by the rules of
    /// [OTLP](https://opentelemetry.io/docs/specs/otlp/#failures).
    pub(super) fn from_grpc(status: &Status) -> Self {
        // Only errors of the client's own transport have a source.
        if let Some(error) = status.source() {
            return AttemptError::unreachable(error);
        }
        if let Some(answer) = web_page(status.message()) {
            return AttemptError::from_web_page(answer);
        }
        if is_about_answer(status.message()) {
            return AttemptError::new(Cause::NotOtlp, clean(status.message()), Retry::Never);
        }
        let after = google_rpc::Status::parse(status.details()).and_then(|details| details.retry_delay());
        let retry = match (status.code(), after) {
            (Code::OutOfRange | Code::ResourceExhausted | Code::InvalidArgument | Code::Unknown, _)
                if is_about_size(status.message()) =>
            {
                Retry::Halves
            }
            (Code::ResourceExhausted, Some(after)) => Retry::After(after),
            (
                Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss,
                after,
            ) => after.map_or(Retry::Backoff, Retry::After),
            _ => Retry::Never,
        };
        let mut attempt = AttemptError::refused(code_name(status.code()), status.message(), retry);
        attempt.is_protocol_suspect = is_unknown_to_http(status.message());
        attempt
    }

    /// Reads the HTTP status of a web page: "502 Bad Gateway".
    fn from_web_page(status: &str) -> Self {
        let number = status.get(..3).unwrap_or_default();
        let retry = match number {
            "413" => Retry::Halves,
            "429" | "502" | "503" | "504" => Retry::Backoff,
            _ => Retry::Never,
        };
        if number.starts_with('2') {
            return AttemptError::new(Cause::NotOtlp, clean(status), retry);
        }
        let mut attempt = AttemptError::refused(clean(status), "not gRPC", retry);
        attempt.is_protocol_suspect = is_unknown(number);
        attempt
    }

    /// Reads the answer of an HTTP server that is not success.
    #[cfg(feature = "http")]
    pub(super) fn from_http(status: StatusCode, retry_after: Option<Duration>, words: &str) -> Self {
        let retry = match status.as_u16() {
            413 => Retry::Halves,
            400 if is_about_size(words) => Retry::Halves,
            429 | 502 | 503 | 504 => retry_after.map_or(Retry::Backoff, Retry::After),
            _ => Retry::Never,
        };
        AttemptError::refused(status.to_string(), words, retry)
    }
}

/// Returns the code's name in gRPC's documentation: `INVALID_ARGUMENT`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for character in format!("{code:?}").chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_uppercase());
    }
    name
}

/// Returns whether the connection was refused or not made in time, so there is nothing to ask for
/// its protocol.
fn is_away(error: &(dyn Error + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::TimedOut)
        {
            return true;
        }
        source = error.source();
    }
    false
}

/// Formats an error with its causes, unless its own text contains them.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    clean(&text)
}

/// Rounds a duration for messages, to tenths of a second, or to hundredths below a second.
fn rounded(duration: Duration) -> String {
    if duration >= Duration::from_secs(1) {
        let seconds = format!("{:.1}", duration.as_secs_f64());
        format!("{}s", seconds.trim_end_matches(".0"))
    } else {
        format!("{}ms", (duration.as_millis() + 5) / 10 * 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_codes_are_retried_as_otlp_says() {
        for (code, message, expected) in [
            (Code::Unavailable, "", Retry::Backoff),
            (Code::Cancelled, "", Retry::Backoff),
            (Code::DeadlineExceeded, "", Retry::Backoff),
            (Code::Aborted, "", Retry::Backoff),
            (Code::OutOfRange, "", Retry::Backoff),
            (Code::DataLoss, "", Retry::Backoff),
            // Without a delay of the receiver, it is not recoverable.
            (Code::ResourceExhausted, "quota", Retry::Never),
            (Code::Unauthenticated, "", Retry::Never),
            (Code::Internal, "", Retry::Never),
            (
                Code::ResourceExhausted,
                "grpc: received message larger than max (5 vs. 4)",
                Retry::Halves,
            ),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes",
                Retry::Halves,
            ),
            (
                Code::ResourceExhausted,
                "gRPC message exceeds maximum size 4: 5",
                Retry::Halves,
            ),
            (
                Code::ResourceExhausted,
                "Error decompressing: size limit, of 4 bytes, exceeded while decompressing message",
                Retry::Halves,
            ),
            // The receiver's answer is too large, and not the request.
            (
                Code::ResourceExhausted,
                "Error decompressing: size limit, of 65537 bytes, exceeded while decompressing message",
                Retry::Never,
            ),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 70000 bytes, the limit is: 65537 bytes",
                Retry::Never,
            ),
            // Proxies in front of the receiver: nginx and Envoy.
            (
                Code::Unknown,
                "grpc-status header missing, mapped from HTTP status code 413",
                Retry::Halves,
            ),
            (Code::Unknown, "Payload Too Large", Retry::Halves),
            (
                Code::Internal,
                "protocol error: received message with invalid compression flag: 60 (valid flags are 0 and 1) while \
                 receiving response with status: 413 Payload Too Large",
                Retry::Halves,
            ),
            (
                Code::Unknown,
                "grpc-status header missing, mapped from HTTP status code 500",
                Retry::Never,
            ),
        ] {
            let error = AttemptError::from_grpc(&Status::new(code, message));
            assert_eq!(error.retry, expected, "{code:?} {message}");
        }
    }

    /// A receiver that answers with `RetryInfo` is going to recover, with or without a delay.
    #[test]
    fn exhausted_receiver_that_recovers_is_retried() {
        use prost::Message;
        let detail = google_rpc::Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: google_rpc::RetryInfo::default().encode_to_vec(),
        };
        let details = google_rpc::Status {
            details: vec![detail],
            ..google_rpc::Status::default()
        };
        let status = Status::with_details(Code::ResourceExhausted, "quota", details.encode_to_vec().into());
        assert_eq!(AttemptError::from_grpc(&status).retry, Retry::After(Duration::ZERO));
    }

    #[cfg(feature = "http")]
    #[test]
    fn http_status_codes_are_retried_as_otlp_says() {
        let second = Some(Duration::from_secs(1));
        for (code, after, words, expected) in [
            (429, None, "", Retry::Backoff),
            (503, second, "", Retry::After(Duration::from_secs(1))),
            (502, None, "", Retry::Backoff),
            (504, None, "", Retry::Backoff),
            (500, second, "", Retry::Never),
            (401, None, "", Retry::Never),
            (400, None, "", Retry::Never),
            (400, None, "http: request body too large", Retry::Halves),
            (413, None, "", Retry::Halves),
        ] {
            let error = AttemptError::from_http(StatusCode::from_u16(code).unwrap(), after, words);
            assert_eq!(error.retry, expected, "{code} {words}");
        }
    }

    #[test]
    fn codes_have_the_names_of_grpc() {
        assert_eq!(code_name(Code::InvalidArgument), "INVALID_ARGUMENT");
        assert_eq!(code_name(Code::Unavailable), "UNAVAILABLE");
    }
}
