//! gRPC as it stands in HTTP: what is gRPC at all, and how a response says how the RPC ended.

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

/// An [`Outcome`] of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OwnedOutcome {
    code: Code,
    error_type: Option<&'static str>,
    message: String,
}

impl OwnedOutcome {
    fn new(code: Code, message: impl Into<String>) -> Self {
        OwnedOutcome {
            code,
            error_type: None,
            message: message.into(),
        }
    }

    fn from_status(status: &Status) -> Self {
        OwnedOutcome::new(status.code(), status.message())
    }

    pub(crate) fn as_outcome(&self) -> Outcome<'_> {
        let outcome = Outcome::new(self.code, &self.message);
        self.error_type
            .map_or(outcome, |error_type| outcome.with_error_type(error_type))
    }
}

/// What the trailers of a response say, or its headers where they are its trailers, too. `None` where they say nothing.
#[inline]
pub(crate) fn status_from_headers(headers: &HeaderMap) -> Option<(Code, Cow<'_, str>)> {
    let code = Code::from_bytes(get_first(headers, &GRPC_STATUS)?.as_bytes());
    if code == Code::Ok {
        // Nobody tells why it went well.
        return Some((code, Cow::Borrowed("")));
    }
    let message = get_first(headers, &GRPC_MESSAGE).map_or(Cow::Borrowed(""), |message| {
        percent_decode(message.as_bytes()).decode_utf8_lossy()
    });
    Some((code, message))
}

/// How a response ended that does not say so, by [gRPC's table](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
pub(crate) const fn status_from_http(status: StatusCode) -> Outcome<'static> {
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
    Outcome::new(code, "the response has no grpc-status")
}

/// How an RPC ended whose server has an error instead of a response: as the caller sees it, to whom tonic says what it can and resets the stream otherwise.
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

/// How an RPC ended whose response body has an error instead of trailers: whatever that says, the caller gets a stream that is reset, which is INTERNAL in gRPC.
pub(crate) fn from_body_error(error: &dyn Any) -> OwnedOutcome {
    OwnedOutcome {
        code: Code::Internal,
        ..from_service_error(error)
    }
}

/// How an RPC ended that the client got an error for, not a response.
///
/// `error.type` is the error's kind, where it tells one: `connection_refused`, `timed_out`. Where it does not, it is the code, as for any other.
pub(crate) fn from_transport_error(status: &Status) -> OwnedOutcome {
    let mut end = OwnedOutcome::from_status(status);
    for source in status.source().into_iter().flat_map(chain) {
        if source.is::<TimeoutExpired>() {
            // tonic's own timer is up. It says CANCELLED, gRPC's word for which is another.
            return OwnedOutcome::new(Code::DeadlineExceeded, status.message());
        }
        if source.is::<Status>() {
            return end;
        }
        if source.is::<ConnectError>() {
            end.error_type = Some("connect_error");
        } else if source.is::<tower::timeout::error::Elapsed>() {
            end.error_type = Some("timed_out");
        } else if let Some(error) = io_error(source) {
            end.error_type = io_error_type(error.kind()).or(end.error_type);
        }
    }
    end
}

/// An error and what it is due to, from the outermost to the innermost.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The connection's error that this is, or that ended an HTTP/2 stream: that one does not call it its source.
fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a std::io::Error> {
    let of_stream = || error.downcast_ref::<h2::Error>()?.get_io();
    error.downcast_ref().or_else(of_stream)
}

fn io_error_type(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::ConnectionRefused => "connection_refused",
        ErrorKind::ConnectionReset => "connection_reset",
        ErrorKind::ConnectionAborted => "connection_aborted",
        ErrorKind::NotConnected => "not_connected",
        ErrorKind::AddrNotAvailable => "address_not_available",
        ErrorKind::HostUnreachable => "host_unreachable",
        ErrorKind::NetworkUnreachable => "network_unreachable",
        ErrorKind::NetworkDown => "network_down",
        ErrorKind::BrokenPipe => "broken_pipe",
        ErrorKind::TimedOut => "timed_out",
        ErrorKind::UnexpectedEof => "unexpected_eof",
        ErrorKind::NotFound => "not_found",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::InvalidData => "invalid_data",
        _ => return None,
    })
}
