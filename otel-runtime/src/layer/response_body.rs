//! A response body that carries its call to the end, for both layers.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::grpc::response_status::OwnedOutcome;
use crate::grpc::side::{Direction, Side};
use crate::rpc::call::Call;
use crate::rpc::current::{self, ActiveCall};
use crate::rpc::message_sizes::BodyCounter;
use crate::rpc::response;

pin_project! {
    /// A response body with its call, which ends when the body does, or when it is dropped.
    ///
    /// The default one is empty and has no call.
    #[derive(Debug)]
    pub(crate) struct ResponseBody<B> {
        // `None` by default, and while it is being dropped.
        #[pin]
        body: Option<B>,
        call: Option<ActiveCall>,
        http_status: StatusCode,
        counter: Option<BodyCounter>,
    }

    impl<B> PinnedDrop for ResponseBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            current::run(this.call, || this.body.set(None));
        }
    }
}

impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        ResponseBody {
            body: None,
            call: None,
            http_status: StatusCode::OK,
            counter: None,
        }
    }
}

impl<B: Body> ResponseBody<B> {
    /// Records the headers of a response, and wraps its body.
    pub(super) fn wrap(response: Response<B>, mut call: Option<ActiveCall>) -> Response<Self> {
        let mut counter = None;
        if let Some(call) = recorded(&mut call) {
            response::on_headers(call, &response);
            counter = call.message_sizes().map(|sizes| {
                sizes.counter(match call.side() {
                    Side::Server => Direction::Sent,
                    Side::Client => Direction::Received,
                })
            });
        }
        let http_status = response.status();
        response.map(|body| ResponseBody {
            body: Some(body),
            call,
            http_status,
            counter,
        })
    }

    /// Polls the body inside the call, and records what it yields.
    ///
    /// `convert_error` makes the error that the caller of the layer gets, and `outcome` tells what
    /// that error means for the call. Both differ between server and client.
    #[inline]
    pub(crate) fn poll_frame<E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        convert_error: impl FnOnce(B::Error) -> E,
        outcome: impl FnOnce(&E) -> OwnedOutcome,
    ) -> Poll<Option<Result<Frame<B::Data>, E>>> {
        let mut this = self.project();
        let mut poll = || {
            let body = this.body.as_mut().as_pin_mut();
            body.map_or(Poll::Ready(None), |body| body.poll_frame(cx))
        };
        let polled = if recorded(this.call).is_some_and(|call| call.has_ended()) {
            // The call has ended; poll the body without entering it again.
            poll()
        } else {
            current::run(this.call, poll)
        };
        let polled = polled.map(|frame| frame.map(|frame| frame.map_err(convert_error)));
        if let (Poll::Ready(frame), Some(call)) = (&polled, recorded(this.call)) {
            match frame {
                Some(Ok(frame)) => {
                    if let Some(counter) = this.counter {
                        counter.on_frame(frame);
                    }
                    if let Some(trailers) = frame.trailers_ref() {
                        response::on_trailers(call, trailers, *this.http_status);
                    } else if call.side() == Side::Server
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
        polled
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
