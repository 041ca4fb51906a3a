//! A layer in between that catches panics, as tower-http's `CatchPanicLayer` does.

use tonic::codegen::{Bytes, StdError};

use super::*;

#[derive(Clone, Copy)]
struct Catch;

#[derive(Clone)]
struct Catching<S>(S);

struct Caught<F>(Pin<Box<F>>);

impl<S> tower::Layer<S> for Catch {
    type Service = Catching<S>;

    fn layer(&self, inner: S) -> Catching<S> {
        Catching(inner)
    }
}

impl<S, R, B> tower::Service<R> for Catching<S>
where
    S: tower::Service<R, Response = http::Response<B>>,
    B: tonic::codegen::Body<Data = Bytes, Error: Into<StdError>> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = S::Error;
    type Future = Caught<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        Caught(Box::pin(self.0.call(request)))
    }
}

impl<F, B, E> Future for Caught<F>
where
    F: Future<Output = Result<http::Response<B>, E>>,
    B: tonic::codegen::Body<Data = Bytes, Error: Into<StdError>> + Send + 'static,
{
    type Output = Result<http::Response<tonic::body::Body>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx)));
        response.map_or_else(
            |_| {
                let mut response = http::Response::new(tonic::body::Body::empty());
                *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                Poll::Ready(Ok(response))
            },
            |response| response.map_ok(|response| response.map(tonic::body::Body::new)),
        )
    }
}

/// Inside of `ServerLayer`, it hides the panic of a handler that is not annotated; outside, none.
#[tokio::test]
async fn depends_on_its_place() {
    for (name, routes, is_inside, is_panic) in [
        ("annotated, inside", ROUTES[0].1, true, true),
        ("plain, inside", ROUTES[1].1, true, false),
        ("annotated, outside", ROUTES[0].1, false, true),
        ("plain, outside", ROUTES[1].1, false, true),
    ] {
        let telemetry = Telemetry::start();
        let layer = public().known_methods([RPC]);
        let routes = routes(&ScriptedService::default());
        let server = if is_inside {
            serve_with(Server::builder().layer(layer).layer(Catch), routes).await
        } else {
            serve_with(Server::builder().layer(Catch).layer(layer), routes).await
        };
        let status = call(&server, "", Some("application/grpc"), "panic").await.unwrap_err();
        assert_eq!(status.code(), Code::Unknown, "{name}");
        let (error, description) = if is_panic {
            ("panic", "as asked")
        } else {
            ("UNKNOWN", "HTTP status 500 Internal Server Error")
        };
        let span = telemetry.span().await;
        assert_eq!(attributes(&span.attributes)["error.type"], error, "{name}");
        let SpanStatus::Error { description: found } = span.status else {
            panic!("{name}: {:?}", span.status)
        };
        assert!(found.contains(description), "{name}: {found}");
        assert_eq!(telemetry.durations(1).await[0]["error.type"], error, "{name}");
    }
}

#[tokio::test]
async fn is_recorded_as_one() {
    let telemetry = Telemetry::start();
    let server = Server::builder().layer(public()).layer(Catch);
    let server = serve_with(server, Annotated::routes(&ScriptedService::default())).await;
    let status = call(&server, "", Some("application/grpc"), "panic").await.unwrap_err();
    assert_eq!(status.code(), Code::Unknown);

    let span = telemetry.span().await;
    assert_eq!(span.status, SpanStatus::error("as asked"));
    let found = attributes(&span.attributes);
    assert_eq!(
        (&*found["rpc.status_code"], &*found["error.type"]),
        ("UNKNOWN", "panic")
    );
    let durations = telemetry.durations(1).await;
    assert_eq!(durations[0]["error.type"], "panic");
    let [log] = &telemetry.logs()[..] else {
        panic!("{:?}", telemetry.logs())
    };
    assert_eq!(log.event_name, Some("rpc.server.call.exception"));
    assert_eq!(log.attributes["exception.message"], "as asked");
    assert_eq!(
        log.trace,
        Some((span.span_context.trace_id(), span.span_context.span_id()))
    );
}
