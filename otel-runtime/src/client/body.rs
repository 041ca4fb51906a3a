//! The response body of a client's call.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;

use crate::grpc::response_status::from_transport_error;
use crate::grpc::side::Client;
use crate::layer::response_body::ResponseBody;

pin_project! {
    /// The response body of a [`ClientLayer`](crate::ClientLayer): it carries its call to the end.
    ///
    /// The default one is empty and has no call: an interceptor around the channel
    /// (`with_interceptor` of a generated client) answers with it when it rejects a request.
    #[derive(Debug)]
    #[must_use = "bodies do nothing unless polled"]
    pub struct ClientBody<B> {
        #[pin]
        body: ResponseBody<B, Client>,
    }
}

impl<B> ClientBody<B> {
    #[inline]
    pub(super) fn new(body: ResponseBody<B, Client>) -> Self {
        ClientBody { body }
    }
}

impl<B> Default for ClientBody<B> {
    fn default() -> Self {
        ClientBody::new(ResponseBody::default())
    }
}

impl<B> Body for ClientBody<B>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    type Data = B::Data;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, Status>>> {
        let body = self.project().body;
        let mut polled = Poll::Ready(None);
        // Forgets the `None`, which an assignment would drop. A frame is written once.
        let poll = |body: Pin<&mut B>, polled: &mut Poll<_>| match body.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => std::mem::forget(std::mem::replace(polled, Poll::Ready(Some(Ok(frame))))),
            Poll::Ready(Some(Err(error))) => *polled = Poll::Ready(Some(Err(Status::from_error(error.into())))),
            Poll::Ready(None) => {}
            Poll::Pending => *polled = Poll::Pending,
        };
        body.poll_inside(&mut polled, poll, from_transport_error);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
