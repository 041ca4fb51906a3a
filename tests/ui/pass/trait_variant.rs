//! Traits of `#[trait_variant::make]`, whose methods return futures that are `Send`.

#![deny(warnings)]

use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[trait_variant::make(Greeter: Send)]
#[allow(dead_code)]
trait LocalGreeter {
    async fn say_hello(&self, request: Request<String>) -> Result<Response<String>, Status>;
}

struct MyGreeter;

#[traced_service]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

struct MyLocalGreeter;

#[traced_service]
impl LocalGreeter for MyLocalGreeter {
    async fn say_hello(&self, request: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}
