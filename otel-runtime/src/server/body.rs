//! The response body of a server's call.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::grpc::response_status::from_body_error;
use crate::grpc::side::Server;
use crate::layer::response_body::ResponseBody;

pin_project! {
    /// The response body of a [`ServerLayer`](crate::ServerLayer): it carries its call to the end.
    ///
    /// The default one is empty and has no call: an interceptor outside of the layer answers with
    /// it when it rejects a request.
    #[derive(Debug)]
    #[must_use = "bodies do nothing unless polled"]
    pub struct ServerBody<B> {
        #[pin]
        body: ResponseBody<B, Server>,
    }
}

impl<B> ServerBody<B> {
    #[inline]
    pub(super) fn new(body: ResponseBody<B, Server>) -> Self {
        ServerBody { body }
    }
}

impl<B> Default for ServerBody<B> {
    fn default() -> Self {
        ServerBody::new(ResponseBody::default())
    }
}

impl<B: Body<Error: 'static>> Body for ServerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let body = self.project().body;
        let mut polled = Poll::Ready(None);
        let poll = |body: Pin<&mut B>, polled: &mut Poll<_>| {
            // Forgets the `None`, which an assignment would drop.
            std::mem::forget(std::mem::replace(polled, body.poll_frame(cx)));
        };
        body.poll_inside(&mut polled, poll, |error| from_body_error(error));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
