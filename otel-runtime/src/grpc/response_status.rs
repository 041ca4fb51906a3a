//! The gRPC status of an RPC, read from HTTP headers and trailers or inferred from errors.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::io::ErrorKind;

use http::{HeaderMap, HeaderName, StatusCode};
use percent_encoding::percent_decode;
use tonic::{Code, ConnectError, Status, TimeoutExpired};

use crate::grpc::outcome::Outcome;
use crate::grpc::request_headers::get_first;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// An [`Outcome`] that owns its message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OwnedOutcome {
    code: Code,
    error_type: Option<&'static str>,
    message: String,
}

impl OwnedOutcome {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        OwnedOutcome {
            code,
            error_type: None,
            message: message.into(),
        }
    }

    fn from_status(status: &Status) -> Self {
        OwnedOutcome::new(status.code(), status.message())
    }

    /// Replaces code and message by those of `status`.
    pub(crate) fn with_status(self, status: &Status) -> Self {
        OwnedOutcome {
            code: status.code(),
            message: status.message().to_owned(),
            ..self
        }
    }

    /// Adds the HTTP/2 reason that a peer sent to the message, unless that has it.
    #[cold]
    fn add_reason(&mut self, error: &h2::Error) {
        if let Some(reason) = error.reason() {
            let frame = if error.is_go_away() { "GOAWAY" } else { "RST_STREAM" };
            self.message = format!("{} ({frame}: {reason:?})", self.message);
        }
    }

    pub(crate) fn as_outcome(&self) -> Outcome<'_> {
        let outcome = Outcome::new(self.code, &self.message);
        self.error_type
            .map_or(outcome, |error_type| outcome.with_error_type(error_type))
    }
}

/// Reads `grpc-status` and `grpc-message` from trailers, or from the headers of a trailers-only
/// response.
///
/// Returns `None` if there is no `grpc-status`.
#[inline]
pub(crate) fn status_from_headers(headers: &HeaderMap) -> Option<(Code, Cow<'_, str>)> {
    let code = Code::from_bytes(get_first(headers, &GRPC_STATUS)?.as_bytes());
    if code == Code::Ok {
        // An `OK` has no message worth decoding.
        return Some((code, Cow::Borrowed("")));
    }
    let message = get_first(headers, &GRPC_MESSAGE).map_or(Cow::Borrowed(""), |message| {
        percent_decode(message.as_bytes()).decode_utf8_lossy()
    });
    Some((code, message))
}

/// Infers the outcome of a response without `grpc-status` from its HTTP status.
///
/// Follows [gRPC's mapping].
///
/// [gRPC's mapping]: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
#[cold]
pub(crate) fn status_from_http(status: StatusCode) -> OwnedOutcome {
    let code = match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    OwnedOutcome::new(code, format!("the response has no grpc-status (HTTP status {status})"))
}

/// Returns the outcome of an RPC for which the service returned an error instead of a response.
///
/// Mirrors tonic: if tonic can derive a status from the error, it sends that status. Otherwise the
/// HTTP/2 stream is reset.
pub(crate) fn from_service_error(error: &dyn Any) -> OwnedOutcome {
    let error: Option<&(dyn Error + 'static)> =
        if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
            Some(&**error)
        } else {
            error.downcast_ref::<Status>().map(|error| error as _)
        };
    let Some(error) = error else {
        return OwnedOutcome::new(Code::Internal, "the service failed");
    };
    for source in chain(error) {
        if let Some(status) = source.downcast_ref::<Status>() {
            return OwnedOutcome::from_status(status);
        }
        if source.is::<TimeoutExpired>() {
            return OwnedOutcome::new(Code::DeadlineExceeded, source.to_string());
        }
        if source.is::<tower::load_shed::error::Overloaded>() {
            return OwnedOutcome::new(Code::ResourceExhausted, source.to_string());
        }
    }
    OwnedOutcome::new(Code::Internal, error.to_string())
}

/// Returns the outcome of an RPC whose response body ended with an error instead of trailers.
///
/// The code is always `INTERNAL`: whatever the error is, the caller sees an HTTP/2 stream reset.
pub(crate) fn from_body_error(error: &dyn Any) -> OwnedOutcome {
    OwnedOutcome {
        code: Code::Internal,
        ..from_service_error(error)
    }
}

/// Returns the outcome of a client's RPC that ended with an error instead of a response.
///
/// If a source of the error has a known kind, `error.type` names that kind, such as
/// `connection_refused` or `timed_out`. Otherwise `error.type` is the status code.
pub(crate) fn from_transport_error(status: &Status) -> OwnedOutcome {
    let mut end = OwnedOutcome::from_status(status);
    for source in status.source().into_iter().flat_map(chain) {
        if source.is::<TimeoutExpired>() {
            // tonic reports its own timeout as `CANCELLED`; gRPC specifies `DEADLINE_EXCEEDED`.
            return OwnedOutcome::new(Code::DeadlineExceeded, status.message());
        }
        if source.is::<Status>() {
            return end;
        }
        if let Some(error) = source.downcast_ref::<h2::Error>() {
            end.add_reason(error);
        }
        if is_keepalive_timeout(source) {
            end.error_type = Some("timed_out");
        } else if source.is::<ConnectError>() {
            end.error_type = Some("connect_error");
        } else if source.is::<tower::timeout::error::Elapsed>() {
            end.error_type = Some("timed_out");
        } else if let Some(error) = io_error(source) {
            end.error_type = io_error_type(error.kind()).or(end.error_type);
        }
    }
    end
}

/// Returns `true` if a connection's keepalive got no answer.
///
/// The type of hyper's error is not in reach.
fn is_keepalive_timeout(error: &(dyn Error + 'static)) -> bool {
    let debug = format!("{error:?}");
    debug.starts_with("hyper::Error(") && debug.contains("KeepAliveTimedOut")
}

/// Iterates over an error and its sources, from the outermost to the innermost.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Returns the I/O error that `error` is, or that an `h2::Error` wraps.
///
/// `h2::Error` does not return its I/O error from `source`.
fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a std::io::Error> {
    let from_h2 = || error.downcast_ref::<h2::Error>()?.get_io();
    error.downcast_ref().or_else(from_h2)
}

/// Returns the `error.type` of an I/O error, or `None` if its kind says too little.
fn io_error_type(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::ConnectionRefused => "connection_refused",
        // A peer that is gone. Which of these a socket reports depends on the bytes in flight.
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => "connection_reset",
        ErrorKind::NotConnected => "not_connected",
        ErrorKind::AddrNotAvailable => "address_not_available",
        ErrorKind::HostUnreachable => "host_unreachable",
        ErrorKind::NetworkUnreachable => "network_unreachable",
        ErrorKind::NetworkDown => "network_down",
        ErrorKind::TimedOut => "timed_out",
        ErrorKind::NotFound => "not_found",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::InvalidData => "invalid_data",
        _ => return None,
    })
}
