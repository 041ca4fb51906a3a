//! A layer in between that catches panics, as tower-http's `CatchPanicLayer` does.

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

impl<S, R> tower::Service<R> for Catching<S>
where
    S: tower::Service<R, Response = http::Response<tonic::body::Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Caught<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        Caught(Box::pin(self.0.call(request)))
    }
}

impl<F, E> Future for Caught<F>
where
    F: Future<Output = Result<http::Response<tonic::body::Body>, E>>,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))).unwrap_or_else(|_| {
            let mut response = http::Response::new(tonic::body::Body::empty());
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            Poll::Ready(Ok(response))
        })
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
