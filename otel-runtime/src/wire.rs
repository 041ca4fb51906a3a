//! gRPC as it stands in HTTP: what is gRPC at all, and how a response says how the RPC ended.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::io::ErrorKind;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::percent_decode;
use tonic::{Code, ConnectError, Status, TimeoutExpired};

use crate::headers::first;
use crate::status::Outcome;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether what has these headers is gRPC: its content is `application/grpc`, with or without a format (`+proto`) and parameters.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content = first(headers, &CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = content.and_then(|content| content.strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';' | b' ', ..]))
}

/// An [`Outcome`] of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    code: Code,
    cause: Option<&'static str>,
    message: String,
}

impl End {
    fn new(code: Code, message: impl Into<String>) -> Self {
        End {
            code,
            cause: None,
            message: message.into(),
        }
    }

    fn of(status: &Status) -> Self {
        End::new(status.code(), status.message())
    }

    pub(crate) fn outcome(&self) -> Outcome<'_> {
        let outcome = Outcome::new(self.code, &self.message);
        self.cause.map_or(outcome, |cause| outcome.because_of(cause))
    }
}

/// What the trailers of a response say, or its headers where they are its trailers, too. `None` where they say nothing.
#[inline]
pub(crate) fn stated(headers: &HeaderMap) -> Option<(Code, Cow<'_, str>)> {
    let code = Code::from_bytes(first(headers, &GRPC_STATUS)?.as_bytes());
    if code == Code::Ok {
        // Nobody tells why it went well.
        return Some((code, Cow::Borrowed("")));
    }
    let message = first(headers, &GRPC_MESSAGE).map_or(Cow::Borrowed(""), |message| {
        percent_decode(message.as_bytes()).decode_utf8_lossy()
    });
    Some((code, message))
}

/// How a response ended that does not say so, by [gRPC's table](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
pub(crate) const fn inferred(status: StatusCode) -> Outcome<'static> {
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
pub(crate) fn failed(error: &dyn Any) -> End {
    let error: Option<&(dyn Error + 'static)> =
        if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
            Some(&**error)
        } else {
            error.downcast_ref::<Status>().map(|error| error as _)
        };
    let Some(error) = error else {
        return End::new(Code::Internal, "the service failed");
    };
    for source in chain(error) {
        if let Some(status) = source.downcast_ref::<Status>() {
            return End::of(status);
        }
        if source.is::<TimeoutExpired>() {
            return End::new(Code::DeadlineExceeded, source.to_string());
        }
        if source.is::<tower::load_shed::error::Overloaded>() {
            return End::new(Code::ResourceExhausted, source.to_string());
        }
    }
    End::new(Code::Internal, error.to_string())
}

/// How an RPC ended whose response body has an error instead of trailers: whatever that says, the caller gets a stream that is reset, which is INTERNAL in gRPC.
pub(crate) fn broken_off(error: &dyn Any) -> End {
    End {
        code: Code::Internal,
        ..failed(error)
    }
}

/// How an RPC ended that the client got an error for, not a response.
///
/// `error.type` is the error's kind, where it tells one: `connection_refused`, `timed_out`. Where it does not, it is the code, as for any other.
pub(crate) fn not_answered(status: &Status) -> End {
    let mut end = End::of(status);
    for source in status.source().into_iter().flat_map(chain) {
        if source.is::<TimeoutExpired>() {
            // tonic's own timer is up. It says CANCELLED, gRPC's word for which is another.
            return End::new(Code::DeadlineExceeded, status.message());
        }
        if source.is::<Status>() {
            return end;
        }
        if source.is::<ConnectError>() {
            end.cause = Some("connect_error");
        } else if source.is::<tower::timeout::error::Elapsed>() {
            end.cause = Some("timed_out");
        } else if let Some(error) = io_error(source) {
            end.cause = kind(error.kind()).or(end.cause);
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

fn kind(kind: ErrorKind) -> Option<&'static str> {
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
