//! A layer between the server's connection and its services: a proxy's error pages, and a
//! `CatchPanicLayer`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::{Status, codegen::Service};
use tower_layer::Layer;

/// The header of requests that get an error page.
pub(super) const PAGE: &str = "x-page";

/// The header of requests whose panics are caught.
pub(super) const CATCH: &str = "x-catch";

#[derive(Clone, Copy, Debug)]
pub(super) struct BetweenLayer;

impl<S> Layer<S> for BetweenLayer {
    type Service = Between<S>;

    fn layer(&self, inner: S) -> Between<S> {
        Between(inner)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Between<S>(S);

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Between<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Future: Send + 'static>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.headers().contains_key(PAGE) {
            return Box::pin(async { Ok(page()) });
        }
        let catches = request.headers().contains_key(CATCH);
        let mut future = Box::pin(self.0.call(request));
        if !catches {
            return future;
        }
        Box::pin(std::future::poll_fn(move |cx| {
            catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)))
                .unwrap_or_else(|_| Poll::Ready(Ok(Status::internal("caught").into_http())))
        }))
    }
}

fn page() -> Response<Body> {
    let page = axum::body::Body::from("<html><body>sorry</body></html>");
    let mut response = Response::new(Body::new(page));
    *response.status_mut() = axum::http::StatusCode::BAD_GATEWAY;
    let html = axum::http::HeaderValue::from_static("text/html");
    response.headers_mut().insert("content-type", html);
    response
}
