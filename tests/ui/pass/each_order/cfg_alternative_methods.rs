// Needs `#[async_trait]`: the trait is a generated one.
#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    #[cfg(unix)]
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = request.into_inner().name;
        Ok(Response::new(HelloReply { message }))
    }

    #[cfg(not(unix))]
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

struct Below;

#[tonic::async_trait]
#[traced_service]
impl Greeter for Below {
    #[cfg(unix)]
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = request.into_inner().name;
        Ok(Response::new(HelloReply { message }))
    }

    #[cfg(not(unix))]
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Err(Status::unimplemented("not here"))
    }
}
