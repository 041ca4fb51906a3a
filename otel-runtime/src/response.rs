//! An RPC's response on its way: what its headers, its trailers, its end and its loss tell of the RPC. For both sides the same.

use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use tonic::Code;

use crate::call::Call;
use crate::status::{Outcome, Side};
use crate::wire;

/// Takes up the headers.
pub(crate) fn headers<B: Body>(call: &mut Call, response: &Response<B>) {
    take_up_headers(
        call,
        response.headers(),
        response.status(),
        response.body().is_end_stream(),
    );
}

/// `is_all` where no body follows.
fn take_up_headers(call: &mut Call, headers: &HeaderMap, status: StatusCode, is_all: bool) {
    let Some((code, message)) = wire::stated(headers) else {
        // Only a service answers so, of a method that it has.
        if call.is_unknown() && status == StatusCode::OK && wire::is_grpc(headers) {
            call.is_of_a_method();
        }
        take_up(call, headers, |captured| &captured.response_headers);
        if is_all {
            no_more(call, status);
        }
        return;
    };
    if is_all {
        trailers(call, headers, status);
    } else {
        take_up(call, headers, |captured| &captured.response_trailers);
        // A client looks no further for it.
        if call.side() == Side::Client && code != Code::Ok {
            end(call, Outcome::new(code, &message));
        } else {
            call.foresee(code, &message);
        }
    }
}

/// Takes up the trailers, with which the RPC ends. `status` is that of the headers before.
pub(crate) fn trailers(call: &mut Call, trailers: &HeaderMap, status: StatusCode) {
    take_up(call, trailers, |captured| &captured.response_trailers);
    match wire::stated(trailers) {
        Some((code, message)) => end(call, Outcome::new(code, &message)),
        None => no_more(call, status),
    }
}

/// The body has ended without trailers.
pub(crate) fn no_more(call: &mut Call, status: StatusCode) {
    match call.foreseen() {
        Some((code, message)) => end(call, Outcome::new(code, &message)),
        None => end(call, wire::inferred(status)),
    }
}

/// Ends the RPC. Of a client's that was cancelled behind its deadline it is that which ended it: the server's clock runs out at the same time, and it calls that CANCELLED.
pub(crate) fn end(call: &mut Call, outcome: Outcome<'_>) {
    let is_late = call.side() == Side::Client && outcome.code() == Code::Cancelled && call.is_late();
    call.end(if is_late {
        Outcome::new(Code::DeadlineExceeded, outcome.message())
    } else {
        outcome
    });
}

fn take_up(call: &Call, headers: &HeaderMap, list: fn(&crate::capture::Captured) -> &crate::capture::Names) {
    if let Some(captured) = call.layer()
        && !list(captured).is_empty()
    {
        call.set_attributes(|| list(captured).attributes(headers));
    }
}
