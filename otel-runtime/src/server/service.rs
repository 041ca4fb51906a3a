//! The service that a server's layer puts around another one.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::body::ServerBody;
use super::future::ServerFuture;
use super::layer::ServerLayer;
use crate::attributes::captured_headers::CapturedHeaders;
use crate::layer::response_future::ResponseFuture;

/// The service of a [`ServerLayer`].
#[derive(Clone, Debug)]
pub struct ServerService<S> {
    inner: S,
    /// Behind one pointer: tonic's server clones the service for each request.
    layer: Arc<ServerLayer>,
    captured: &'static CapturedHeaders,
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> ServerService<S> {
        ServerService {
            inner,
            layer: self.clone().shared(),
            captured: self.options.captured_headers.interned(),
        }
    }
}

impl<S, B, R> Service<Request<B>> for ServerService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error: 'static>,
    B: 'static,
    R: Body,
{
    type Response = Response<ServerBody<R>>;
    type Error = S::Error;
    type Future = ServerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let call = self.layer.start(&mut request, self.captured);
        ServerFuture::new(ResponseFuture::start(call, request, |request| self.inner.call(request)))
    }
}
