use std::future::{Ready, ready};
use std::task::{Context, Poll};

use otel_runtime::traced_service;
use tonic::{Request, Response, Status};
use tower::Service;

struct MyGreeter;

#[traced_service]
impl Service<Request<String>> for MyGreeter {
    type Response = Response<String>;
    type Error = Status;
    type Future = Ready<Result<Response<String>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

fn main() {}
