//! The response future of a client's call.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tonic::Status;

use super::body::ClientBody;
use super::readiness::NotReady;
use crate::grpc::response_status::from_transport_error;
use crate::grpc::side::Client;
use crate::layer::response_future::ResponseFuture;
use crate::rpc::active_call::ActiveCall;
use crate::rpc::response;

pin_project! {
    /// The response future of a [`ClientService`](crate::ClientService): it carries its call to the
    /// response body.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ClientFuture<F> {
        #[pin]
        future: ResponseFuture<F, Client>,
        // The error of a call whose service was not ready.
        failed: Option<Status>,
    }
}

impl<F> ClientFuture<F> {
    #[inline]
    pub(super) fn new(future: ResponseFuture<F, Client>) -> Self {
        ClientFuture { future, failed: None }
    }

    /// Ends a call whose service was not ready.
    #[cold]
    pub(super) fn failed(mut call: Option<ActiveCall>, error: NotReady) -> Self {
        if let Some(call) = call.as_mut().and_then(ActiveCall::recorded) {
            let _attached = call.attach();
            response::finish(call, error.outcome.as_outcome());
        }
        ClientFuture {
            future: ResponseFuture::done(),
            failed: Some(error.status),
        }
    }
}

impl<F, B, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Response<ClientBody<B>>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(error) = this.failed.take() {
            return Poll::Ready(Err(error));
        }
        let future = this.future;
        let convert_error = |error: E| Status::from_error(error.into());
        future.poll_response(cx, ClientBody::new, convert_error, from_transport_error)
    }
}
