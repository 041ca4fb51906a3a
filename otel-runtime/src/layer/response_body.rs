//! A response body that carries its call to the end, for both layers.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::grpc::response_status::OwnedOutcome;
use crate::grpc::side::{Direction, Role, Side};
use crate::rpc::call::Call;
use crate::rpc::current::{self, ActiveCall};
use crate::rpc::message_sizes::BodyCounter;
use crate::rpc::response;

/// The result of polling the body `B` for a frame, with the error `E`.
type PolledFrame<B, E> = Poll<Option<Result<Frame<<B as Body>::Data>, E>>>;

pin_project! {
    /// A response body with its call, which ends when the body does, or when it is dropped.
    ///
    /// The default one is empty and has no call.
    #[derive(Debug)]
    pub(crate) struct ResponseBody<B, R: Role> {
        // `None` by default, and while it is being dropped.
        #[pin]
        body: Option<B>,
        call: Option<ActiveCall>,
        http_status: StatusCode,
        counter: Option<BodyCounter>,
        role: PhantomData<fn() -> R>,
    }

    impl<B, R: Role> PinnedDrop for ResponseBody<B, R> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            current::run::<R, _>(this.call, || this.body.set(None));
        }
    }
}

impl<B, R: Role> Default for ResponseBody<B, R> {
    fn default() -> Self {
        ResponseBody {
            body: None,
            call: None,
            http_status: StatusCode::OK,
            counter: None,
            role: PhantomData,
        }
    }
}

impl<B: Body, R: Role> ResponseBody<B, R> {
    /// Records the headers of a response, and puts its body into the call.
    #[inline]
    pub(super) fn wrap<W>(
        response: Response<B>,
        mut call: Option<ActiveCall>,
        wrap: impl FnOnce(Self) -> W,
    ) -> Response<W> {
        let mut counter = None;
        if matches!(call, Some(ActiveCall::Deferred(_))) {
            call = call
                .filter(|_| response::is_answer(response.headers()))
                .map(ActiveCall::started);
        }
        if let Some(call) = recorded(&mut call) {
            response::on_headers(call, &response);
            counter = call.message_sizes().map(|sizes| {
                sizes.counter(match R::SIDE {
                    Side::Server => Direction::Sent,
                    Side::Client => Direction::Received,
                })
            });
        }
        let http_status = response.status();
        response.map(|body| {
            wrap(ResponseBody {
                body: Some(body),
                call,
                http_status,
                counter,
                role: PhantomData,
            })
        })
    }

    /// Polls the body inside the call.
    #[inline]
    pub(crate) fn poll_inside(self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame<B, B::Error> {
        let mut this = self.project();
        let mut poll = || {
            let body = this.body.as_mut().as_pin_mut();
            body.map_or(Poll::Ready(None), |body| body.poll_frame(cx))
        };
        if recorded(this.call).is_some_and(|call| call.has_ended()) {
            // The call has ended; poll the body without entering it again.
            poll()
        } else {
            current::run::<R, _>(this.call, poll)
        }
    }

    /// Records what a poll of the body yielded. `outcome` tells what its error means for the call.
    #[inline]
    pub(crate) fn record<E>(
        self: Pin<&mut Self>,
        polled: &PolledFrame<B, E>,
        outcome: impl FnOnce(&E) -> OwnedOutcome,
    ) {
        let this = self.project();
        let (Poll::Ready(frame), Some(call)) = (polled, recorded(this.call)) else {
            return;
        };
        match frame {
            Some(Ok(frame)) => {
                if let Some(counter) = this.counter {
                    counter.on_frame(frame);
                }
                if let Some(trailers) = frame.trailers_ref() {
                    response::on_trailers(call, trailers, *this.http_status);
                } else if R::SIDE == Side::Server
                    && this.body.as_ref().as_pin_ref().is_some_and(|body| body.is_end_stream())
                {
                    // hyper does not poll a body that says that it has ended.
                    response::on_eos(call, *this.http_status);
                }
            }
            Some(Err(error)) => response::finish(call, outcome(error).as_outcome()),
            None => response::on_eos(call, *this.http_status),
        }
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

#[inline]
fn recorded(call: &mut Option<ActiveCall>) -> Option<&mut Call> {
    call.as_mut().and_then(ActiveCall::recorded)
}
