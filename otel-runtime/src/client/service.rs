//! The service that a client's layer puts around a channel.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tonic::Status;
use tower_layer::Layer;
use tower_service::Service;

use super::body::ClientBody;
use super::body_context;
use super::future::ClientFuture;
use super::layer::ClientLayer;
use super::readiness::Readiness;
use crate::attributes::captured_headers::CapturedHeaders;
use crate::layer::response_future::ResponseFuture;
use crate::rpc::active_call::ActiveCall;

/// The service of a [`ClientLayer`].
///
/// If the inner service does not get ready, the call that it was to get ready for fails with its
/// error, so that this call is recorded.
#[derive(Clone, Debug)]
pub struct ClientService<S> {
    inner: S,
    /// Behind one pointer: clients are cloned often.
    layer: Arc<ClientLayer>,
    captured: &'static CapturedHeaders,
    readiness: Readiness,
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService {
            inner,
            layer: Arc::new(self.clone()),
            captured: self.options.captured_headers.interned(),
            readiness: Readiness::default(),
        }
    }
}

impl<S, B, R> Service<Request<B>> for ClientService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error: Into<Box<dyn Error + Send + Sync>>>,
    B: 'static,
    R: Body,
{
    type Response = Response<ClientBody<R>>;
    type Error = Status;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let polled = self.inner.poll_ready(cx);
        let polled = self
            .readiness
            .on_poll(polled, cx, |error| Status::from_error(error.into()));
        polled.map(Ok)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let waited = self.readiness.take();
        let since = waited.as_ref().and_then(|waited| waited.since());
        let call = self.layer.start(&mut request, self.captured, since);
        if let Some(error) = waited.and_then(|waited| waited.error(&request)) {
            return ClientFuture::failed(call, error);
        }
        let has_context = matches!(&call, Some(ActiveCall::Recorded(call)) if call.context().is_some());
        ClientFuture::new(ResponseFuture::start(call, request, |mut request| {
            if has_context {
                body_context::poll_in_current_context(request.body_mut());
            }
            self.inner.call(request)
        }))
    }
}
