use std::future::{Ready, ready};

use otel_runtime::traced_service;
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};

struct SayHello;

#[traced_service]
impl UnaryService<String> for SayHello {
    type Response = String;
    type Future = Ready<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

fn main() {}
