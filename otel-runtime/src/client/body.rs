//! The body of a response, which a client's RPC lasts as long as.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;

use crate::call::Call;
use crate::sizes::{Counter, Direction};
use crate::{response, wire};

pin_project! {
    /// A response body that carries its RPC to the end: what [`ClientLayer`](crate::ClientLayer) makes of a channel's response bodies.
    #[derive(Debug)]
    #[must_use = "bodies do nothing unless polled"]
    pub struct ClientBody<B> {
        #[pin]
        body: B,
        call: Option<Box<Call>>,
        status: StatusCode,
        counter: Option<Counter>,
    }
}

impl<B: Body> ClientBody<B> {
    pub(super) fn begin(response: Response<B>, mut call: Option<Box<Call>>) -> Response<Self> {
        let (parts, body) = response.into_parts();
        let status = parts.status;
        let mut counter = None;
        if let Some(call) = &mut call {
            response::headers(call, &parts, body.is_end_stream());
            counter = call.sizes().map(|sizes| sizes.counter(Direction::Received));
        }
        let body = ClientBody {
            body,
            call,
            status,
            counter,
        };
        Response::from_parts(parts, body)
    }
}

impl<B> Body for ClientBody<B>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    type Data = B::Data;
    type Error = Status;

    // Not in the RPC's context, as its future is: what comes from a connection runs nobody's code.
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, Status>>> {
        let this = self.project();
        let frame = this.body.poll_frame(cx);
        let frame = frame.map(|frame| frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))));
        if let (Poll::Ready(frame), Some(call)) = (&frame, this.call) {
            match frame {
                Some(Ok(frame)) => {
                    if let Some(counter) = this.counter {
                        counter.pass(frame);
                    }
                    if let Some(trailers) = frame.trailers_ref() {
                        response::trailers(call, trailers);
                    }
                }
                Some(Err(status)) => response::end(call, wire::not_answered(status).outcome()),
                None => response::no_more(call, *this.status),
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
