//! The response future of a server's call.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::ServerBody;
use crate::grpc::response_status::from_service_error;
use crate::grpc::side::Server;
use crate::layer::response_future::ResponseFuture;

pin_project! {
    /// The response future of a [`ServerService`](crate::ServerService): it carries its call to the
    /// response body.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ServerFuture<F> {
        #[pin]
        future: ResponseFuture<F, Server>,
    }
}

impl<F> ServerFuture<F> {
    #[inline]
    pub(super) fn new(future: ResponseFuture<F, Server>) -> Self {
        ServerFuture { future }
    }
}

impl<F, B, E> Future for ServerFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<ServerBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        future.poll_response(cx, ServerBody::new, |error| error, |error| from_service_error(error))
    }
}
