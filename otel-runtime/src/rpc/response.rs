//! Recording a response as it passes: its headers, its trailers, its end. The same on both sides.

use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use tonic::Code;

use super::active_call::{ActiveCall, LateStart};
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

/// Starts a deferred call that a response has come back for, if that is gRPC.
///
/// A router answers any path that it does not know with `UNIMPLEMENTED`, also to a request that
/// does not look like gRPC.
#[cold]
pub(crate) fn start_answered(call: Option<ActiveCall>, headers: &HeaderMap) -> Option<ActiveCall> {
    let status = status_from_headers(headers);
    let is_answer = is_grpc(headers) && status.as_ref().is_none_or(|(code, _)| *code != Code::Unimplemented);
    let late = LateStart {
        has_service: status.is_none(),
        ..LateStart::default()
    };
    let call = call?;
    let is_call = is_answer || matches!(&call, ActiveCall::Deferred(deferred) if deferred.is_grpc());
    is_call.then(|| call.started(late))
}

// Not generic, so that it is compiled once.
fn record_headers(call: &mut Call, headers: &HeaderMap, http_status: StatusCode, is_trailers_only: bool) {
    let Some((code, message)) = status_from_headers(headers) else {
        if call.is_unresolved() && http_status == StatusCode::OK && is_grpc(headers) {
            call.expect_answer();
        }
        capture(call, headers, |captured| &captured.response_headers);
        if is_trailers_only {
            on_eos(call, http_status);
        }
        return;
    };
    if is_trailers_only {
        if call.is_unresolved() && is_refusal(code, &message) {
            call.resolve_from_path();
        }
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

/// Returns `true` if tonic's generated code sends this status, without calling a handler.
///
/// Generated code has found the method by then. A router or an interceptor sends a status of its
/// own to any path.
#[cold]
fn is_refusal(code: Code, message: &str) -> bool {
    let messages: &[&str] = match code {
        Code::Unimplemented => &["Content is compressed with `"],
        Code::OutOfRange => &["Error, decoded message length too large"],
        Code::ResourceExhausted => &["Error decompressing: size limit"],
        Code::Internal => &[
            "failed to decode Protobuf message",
            "Error decompressing",
            "protocol error: received message with",
            "Missing request message.",
            "Unexpected EOF decoding stream.",
        ],
        _ => &[],
    };
    messages.iter().any(|known| message.starts_with(known))
}

/// Records a message of a response.
#[inline]
pub(crate) fn on_data(call: &mut Call) {
    if call.is_unresolved() {
        call.resolve_answered();
    }
}

/// Records the trailers, and ends the call with them.
pub(crate) fn on_trailers(call: &mut Call, trailers: &HeaderMap, http_status: StatusCode) {
    capture(call, trailers, |captured| &captured.response_trailers);
    match status_from_headers(trailers) {
        Some((code, message)) => {
            // A proxy may send a router's answer as headers and trailers.
            if code != Code::Unimplemented && call.is_unresolved() {
                call.resolve_answered();
            }
            finish(call, Outcome::new(code, &message));
        }
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
            // Nothing of the handler's response was sent.
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

#[inline]
fn capture(call: &Call, headers: &HeaderMap, list: fn(&CapturedHeaders) -> &HeaderList) {
    if let Some(captured) = call.layer_headers()
        && !list(captured).is_empty()
    {
        capture_listed(call, headers, list(captured));
    }
}

#[cold]
fn capture_listed(call: &Call, headers: &HeaderMap, listed: &HeaderList) {
    call.set_attributes(&mut || listed.attributes(headers));
}
