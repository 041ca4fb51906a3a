//! The floor of a layer: its context is current around the inner service, and it reads the
//! trailers.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use opentelemetry::Context;
use opentelemetry::trace::SpanKind;
use tower::Service;

use super::Started;
use crate::sdk::Mode;

/// The side of the layer.
pub(crate) trait Side: Clone + Unpin + 'static {
    fn start<B>(mode: Mode, request: &mut Request<B>) -> Started;
}

#[derive(Clone)]
pub(crate) struct OfServer;

impl Side for OfServer {
    fn start<B>(mode: Mode, _: &mut Request<B>) -> Started {
        Started::new(mode)
    }
}

#[derive(Clone)]
pub(crate) struct OfClient;

impl Side for OfClient {
    /// With a header value that has been formatted before.
    fn start<B>(mode: Mode, request: &mut Request<B>) -> Started {
        const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let started = Started::below(mode, SpanKind::Client, Context::current);
        if mode.has_spans() {
            let traceparent = HeaderValue::from_static(TRACEPARENT);
            request.headers_mut().insert("traceparent", traceparent);
        }
        started
    }
}

pub(crate) type FloorServer<S> = FloorLayer<S, OfServer>;
pub(crate) type FloorClient<S> = FloorLayer<S, OfClient>;

#[derive(Clone)]
pub(crate) struct FloorLayer<S, L> {
    inner: S,
    mode: Mode,
    side: PhantomData<L>,
}

impl<S, L> FloorLayer<S, L> {
    pub(crate) fn new(inner: S, mode: Mode) -> Self {
        FloorLayer {
            inner,
            mode,
            side: PhantomData,
        }
    }
}

impl<S, L, B, R> Service<Request<B>> for FloorLayer<S, L>
where
    S: Service<Request<B>, Response = Response<R>, Future: Unpin>,
    L: Side,
    R: Body + Unpin,
{
    type Response = Response<Traced<R>>;
    type Error = S::Error;
    type Future = Traced<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let started = L::start(self.mode, &mut request);
        let inner = started.inside(|| self.inner.call(request));
        Traced {
            inner: Some(inner),
            started: Some(started),
        }
    }
}

/// A future or a body around which the context of its RPC is current.
pub(crate) struct Traced<T> {
    inner: Option<T>,
    started: Option<Started>,
}

impl<F, R, E> Future for Traced<F>
where
    F: Future<Output = Result<Response<R>, E>> + Unpin,
{
    type Output = Result<Response<Traced<R>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Traced { inner, started } = &mut *self;
        let (Some(future), Some(running)) = (inner, &*started) else {
            return Poll::Pending;
        };
        let polled = running.inside(|| Pin::new(future).poll(cx));
        polled.map_ok(|response| {
            std::hint::black_box(response.headers().get("grpc-status").is_some());
            response.map(|body| Traced {
                inner: Some(body),
                started: started.take(),
            })
        })
    }
}

impl<B: Body + Unpin> Body for Traced<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Traced { inner, started } = &mut *self;
        let Some(body) = inner else {
            return Poll::Ready(None);
        };
        let Some(running) = started else {
            return Pin::new(body).poll_frame(cx);
        };
        let polled = running.inside(|| Pin::new(body).poll_frame(cx));
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            std::hint::black_box(trailers.get("grpc-status").is_some());
        }
        polled
    }
}

impl<T> Drop for Traced<T> {
    fn drop(&mut self) {
        if let Some(started) = self.started.take() {
            started.inside(|| self.inner = None);
        }
    }
}
