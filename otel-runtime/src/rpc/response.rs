//! Recording a response as it passes: its headers, its trailers, its end. The same on both sides.

use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use tonic::Code;

use super::call::Call;
use crate::attributes::captured_headers::{CapturedHeaders, HeaderList};
use crate::grpc::content_type::is_grpc;
use crate::grpc::outcome::Outcome;
use crate::grpc::progress::Left;
use crate::grpc::response_status::{status_from_headers, status_from_http};
use crate::grpc::side::Side;

/// Records the headers of a response, and its end if no body follows.
pub(crate) fn on_headers<B: Body>(call: &mut Call, response: &Response<B>) {
    let (headers, status) = (response.headers(), response.status());
    record_headers(call, headers, status, response.body().is_end_stream());
}

/// Returns `true` if these headers are a gRPC service's answer to a request that did not look like
/// gRPC. A router answers so to any path that it does not know.
#[cold]
pub(crate) fn is_answer(headers: &HeaderMap) -> bool {
    is_grpc(headers) && status_from_headers(headers).is_none_or(|(code, _)| code != Code::Unimplemented)
}

// Not generic, so that it is compiled once.
fn record_headers(call: &mut Call, headers: &HeaderMap, http_status: StatusCode, is_trailers_only: bool) {
    let Some((code, message)) = status_from_headers(headers) else {
        // Only a service answers like this, and only to a method that it has.
        if call.is_unresolved() && http_status == StatusCode::OK && is_grpc(headers) {
            call.resolve_from_path();
        }
        capture(call, headers, |captured| &captured.response_headers);
        if is_trailers_only {
            on_eos(call, http_status);
        }
        return;
    };
    if is_trailers_only {
        on_trailers(call, headers, http_status);
    } else {
        capture(call, headers, |captured| &captured.response_trailers);
        // A client reads no further once it has found a failure.
        if call.side() == Side::Client && code != Code::Ok {
            finish(call, Outcome::new(code, &message));
        } else {
            call.set_pending_status(code, &message);
        }
    }
}

/// Records the trailers, and ends the call with them.
pub(crate) fn on_trailers(call: &mut Call, trailers: &HeaderMap, http_status: StatusCode) {
    capture(call, trailers, |captured| &captured.response_trailers);
    match status_from_headers(trailers) {
        Some((code, message)) => finish(call, Outcome::new(code, &message)),
        None => on_eos(call, http_status),
    }
}

/// Ends the call of a response that ended without trailers.
pub(crate) fn on_eos(call: &mut Call, http_status: StatusCode) {
    match call.take_pending_status() {
        Some((code, message)) => finish(call, Outcome::new(code, &message)),
        None => finish(call, status_from_http(http_status).as_outcome()),
    }
}

/// Ends the call of a response whose reader has left it before its end, if that tells how.
///
/// Returns `true` if only the end may be missing.
#[cold]
pub(crate) fn on_left(call: &mut Call, left: &Left) -> bool {
    match left {
        Left::Untaken => {
            // What a handler returned is not what was sent.
            call.take_pending_status();
        }
        Left::Refused(outcome) => finish(call, outcome.as_outcome()),
        Left::Partial | Left::MayBeAtEnd => {}
    }
    matches!(left, Left::MayBeAtEnd)
}

/// Ends the call of a response that ended inside a message.
#[cold]
pub(crate) fn on_truncated(call: &mut Call) {
    finish(call, Outcome::new(Code::Internal, "the response ends inside a message"));
}

/// Ends the call.
///
/// If a client's call was cancelled after its deadline, it ends with `DEADLINE_EXCEEDED`: the
/// server's clock runs out at the same time, and tonic's server then answers `CANCELLED`. If the
/// caller of a server has left before its request was whole, nobody gets an answer.
pub(crate) fn finish(call: &mut Call, outcome: Outcome<'_>) {
    let outcome = match call.side() {
        Side::Client if outcome.code() == Code::Cancelled && call.deadline_exceeded() => {
            Outcome::new(Code::DeadlineExceeded, outcome.message())
        }
        Side::Server if call.request_is_lost() => call.abandoned(),
        _ => outcome,
    };
    call.end(outcome);
}

fn capture(call: &Call, headers: &HeaderMap, list: fn(&CapturedHeaders) -> &HeaderList) {
    if let Some(captured) = call.layer_headers()
        && !list(captured).is_empty()
    {
        call.set_attributes(|| list(captured).attributes(headers));
    }
}
