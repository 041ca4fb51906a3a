//! `#[track_caller]` on a method, which has no effect on an `async fn`.

#![deny(warnings)]

use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self, request: Request<String>) -> Result<Response<String>, Status>;
}

struct Above;

#[traced_service]
#[tonic::async_trait]
impl Greeter for Above {
    #[track_caller]
    async fn say_hello(&self, request: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

struct Below;

#[tonic::async_trait]
#[traced_service]
impl Greeter for Below {
    #[track_caller]
    async fn say_hello(&self, request: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[allow(async_fn_in_trait)]
trait Native {
    async fn say_hello(&self, request: Request<String>) -> Result<Response<String>, Status>;
}

#[traced_service]
impl Native for Above {
    #[track_caller]
    #[allow(ungated_async_fn_track_caller)]
    async fn say_hello(&self, request: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}
