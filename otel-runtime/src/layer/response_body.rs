//! A response body that carries its call to the end, for both layers.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Buf;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::grpc::progress::{Progress, ResponseRole};
use crate::grpc::response_status::OwnedOutcome;
use crate::grpc::side::Side;
use crate::guard::CaughtPanic;
use crate::rpc::active_call::ActiveCall;
use crate::rpc::call::Call;
use crate::rpc::current::{self, Attached};
use crate::rpc::response;
use crate::rpc::run;

/// The result of polling the body `B` for a frame, with the error `E`.
type PolledFrame<B, E> = Poll<Option<Result<Frame<<B as Body>::Data>, E>>>;

pin_project! {
    /// A response body with its call, which ends when the body does, or when it is dropped.
    ///
    /// The default one is empty and has no call.
    #[derive(Debug)]
    pub(crate) struct ResponseBody<B, R: ResponseRole> {
        // `None` by default, and while it is being dropped.
        #[pin]
        body: Option<B>,
        call: Option<ActiveCall>,
        http_status: StatusCode,
        progress: R::Progress,
        // A function pointer because `drop` calls it: `Drop` cannot require `B: Body` if the type
        // does not.
        peek: fn(Pin<&mut B>) -> Peeked,
        role: PhantomData<fn() -> R>,
    }

    impl<B, R: ResponseRole> PinnedDrop for ResponseBody<B, R> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(call) = recorded(this.call)
                && !call.has_ended()
            {
                let _attached = call.attach();
                if response::on_left(call, &this.progress.left(*this.http_status))
                    && let Some(body) = this.body.as_mut().as_pin_mut()
                {
                    peek_end::<B, R>(this.call, body, *this.peek, *this.http_status);
                }
            }
            run::inside::<R>(this.call, || this.body.set(None));
        }
    }
}

impl<B, R: ResponseRole> Default for ResponseBody<B, R> {
    fn default() -> Self {
        ResponseBody {
            body: None,
            call: None,
            http_status: StatusCode::OK,
            progress: R::Progress::default(),
            peek: |_| Peeked::Nothing,
            role: PhantomData,
        }
    }
}

impl<B: Body, R: ResponseRole> ResponseBody<B, R> {
    /// Records the headers of a response, and puts its body into the call. The call's context is
    /// `attached`, or will be if the call starts here.
    #[inline]
    pub(super) fn wrap<W>(
        response: Response<B>,
        mut call: Option<ActiveCall>,
        attached: &mut Attached,
        wrap: impl FnOnce(Self) -> W,
    ) -> Response<W> {
        let mut progress = R::Progress::default();
        if matches!(call, Some(ActiveCall::Deferred(_))) {
            call = response::start_answered(call, response.headers());
            *attached = call.as_ref().and_then(current::attach_call);
        }
        if let Some(call) = recorded(&mut call) {
            call.extras()
                .start_response(R::SIDE.response_direction(), response.headers());
            progress.on_headers(response.headers(), call.offered_encodings());
            response::on_headers(call, &response);
        }
        let http_status = response.status();
        response.map(|body| {
            wrap(ResponseBody {
                body: Some(body),
                call,
                http_status,
                progress,
                peek: peek::<B>,
                role: PhantomData,
            })
        })
    }

    /// Polls the body inside the call, and records there what it yielded.
    ///
    /// `poll` polls the body into `polled`, which the caller returns: a frame is copied less often.
    /// `outcome` tells what an error means for the call.
    #[inline]
    pub(crate) fn poll_inside<E>(
        self: Pin<&mut Self>,
        polled: &mut PolledFrame<B, E>,
        poll: impl FnOnce(Pin<&mut B>, &mut PolledFrame<B, E>),
        outcome: impl FnOnce(&E) -> OwnedOutcome,
    ) {
        let mut this = self.project();
        let poll = || {
            if let Some(body) = this.body.as_mut().as_pin_mut() {
                poll(body, polled);
            }
        };
        if recorded(this.call).is_some_and(|call| call.has_ended()) {
            // The call has ended; poll the body without entering it again.
            return poll();
        }
        let _attached = run::inside_attached::<R>(this.call, poll);
        // hyper does not poll a body that says that it has ended.
        let is_end =
            || R::SIDE == Side::Server && this.body.as_ref().as_pin_ref().is_some_and(|body| body.is_end_stream());
        record(this.call, this.progress, *this.http_status, polled, is_end, outcome);
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Records what a poll of a body yielded.
#[inline]
fn record<P: Progress, D: Buf, E>(
    call: &mut Option<ActiveCall>,
    progress: &mut P,
    http_status: StatusCode,
    polled: &Poll<Option<Result<Frame<D>, E>>>,
    is_end: impl FnOnce() -> bool,
    outcome: impl FnOnce(&E) -> OwnedOutcome,
) {
    let (Poll::Ready(frame), Some(call)) = (polled, recorded(call)) else {
        progress.on_pending();
        return;
    };
    if call.extras().counts_response() {
        call.extras().on_response(frame.as_ref());
    }
    match frame {
        Some(Ok(frame)) => {
            progress.on_frame(frame);
            if let Some(trailers) = frame.trailers_ref() {
                response::on_trailers(call, trailers, http_status);
                return;
            }
            response::on_data(call);
            if is_end() {
                response::on_eos(call, http_status);
            }
        }
        Some(Err(error)) => response::finish(call, outcome(error).as_outcome()),
        None if progress.is_inside_message(http_status) => response::on_truncated(call),
        None => response::on_eos(call, http_status),
    }
}

/// The next frame of a body that its reader drops.
enum Peeked {
    Trailers(HeaderMap),
    End,
    /// Nothing yet, or more data.
    Nothing,
}

fn peek<B: Body>(body: Pin<&mut B>) -> Peeked {
    match body.poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => frame.into_trailers().map_or(Peeked::Nothing, Peeked::Trailers),
        Poll::Ready(None) => Peeked::End,
        Poll::Ready(Some(Err(_))) | Poll::Pending => Peeked::Nothing,
    }
}

/// Ends the call of a response that its reader drops, if its end has arrived by then.
///
/// A client that takes the messages that it expects need not read the end.
#[cold]
fn peek_end<B, R: ResponseRole>(
    call: &mut Option<ActiveCall>,
    body: Pin<&mut B>,
    peek: fn(Pin<&mut B>) -> Peeked,
    http_status: StatusCode,
) {
    // A panic in here would abort the program if another one unwinds. The body panics again when it
    // is dropped, or never.
    if std::thread::panicking() {
        return;
    }
    let mut peeked = Peeked::Nothing;
    let result = CaughtPanic::catch(|| run::inside::<R>(call, || peeked = peek(body)));
    if let (Ok(()), Some(call)) = (result, recorded(call)) {
        match peeked {
            Peeked::Trailers(trailers) => response::on_trailers(call, &trailers, http_status),
            Peeked::End => response::on_eos(call, http_status),
            Peeked::Nothing => {}
        }
    }
}

#[inline]
fn recorded(call: &mut Option<ActiveCall>) -> Option<&mut Call> {
    call.as_mut().and_then(ActiveCall::recorded)
}
