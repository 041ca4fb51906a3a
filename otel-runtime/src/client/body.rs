//! The body of a response, which a client's RPC lasts as long as.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;

use super::layer::run;
use crate::call::Running;
use crate::sizes::{Counter, Direction};
use crate::{response, wire};

pin_project! {
    /// A response body that carries its RPC to the end: what [`ClientLayer`](crate::ClientLayer) makes of a channel's response bodies.
    ///
    /// The default one is empty, and of no RPC: an interceptor around the channel (`with_interceptor` of a generated client) responds with it to what it rejects.
    #[derive(Debug)]
    #[must_use = "bodies do nothing unless polled"]
    pub struct ClientBody<B> {
        // Empty by default, and while it is being dropped.
        #[pin]
        body: Option<B>,
        call: Option<Running>,
        status: StatusCode,
        counter: Option<Counter>,
    }

    impl<B> PinnedDrop for ClientBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            run(this.call, || this.body.set(None));
        }
    }
}

impl<B> Default for ClientBody<B> {
    fn default() -> Self {
        ClientBody {
            body: None,
            call: None,
            status: StatusCode::OK,
            counter: None,
        }
    }
}

impl<B: Body> ClientBody<B> {
    pub(super) fn begin(response: Response<B>, mut call: Option<Running>) -> Response<Self> {
        let mut counter = None;
        if let Some(call) = &mut call {
            response::headers(call, &response);
            counter = call.sizes().map(|sizes| sizes.counter(Direction::Received));
        }
        let status = response.status();
        response.map(|body| ClientBody {
            body: Some(body),
            call,
            status,
            counter,
        })
    }
}

impl<B> Body for ClientBody<B>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    type Data = B::Data;
    type Error = Status;

    // In the RPC, as its future is: what comes from a service of the same process is that service's code.
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, Status>>> {
        let mut this = self.project();
        let mut poll = || {
            let body = this.body.as_mut().as_pin_mut();
            body.map_or(Poll::Ready(None), |body| body.poll_frame(cx))
        };
        let polled = if this.call.as_ref().is_some_and(|call| call.has_ended()) {
            // What it has been asked for is there: this is to see that there is no more.
            poll()
        } else {
            run(this.call, &mut poll)
        };
        let frame = polled.map(|frame| frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))));
        if let (Poll::Ready(frame), Some(call)) = (&frame, this.call) {
            match frame {
                Some(Ok(frame)) => {
                    if let Some(counter) = this.counter {
                        counter.pass(frame);
                    }
                    if let Some(trailers) = frame.trailers_ref() {
                        response::trailers(call, trailers, *this.status);
                    }
                }
                Some(Err(status)) => response::end(call, wire::not_answered(status).outcome()),
                None => response::no_more(call, *this.status),
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
