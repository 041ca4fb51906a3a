#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status>;
}

struct Unnamed;

#[traced_service]
#[tonic::async_trait]
impl Greeter for Unnamed {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct Unused;

#[traced_service]
#[tonic::async_trait]
impl Greeter for Unused {
    async fn say_hello(&self, _request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct Mutable;

#[traced_service]
#[tonic::async_trait]
impl Greeter for Mutable {
    async fn say_hello(&self, mut request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = std::mem::take(&mut request.get_mut().name);
        Ok(Response::new(HelloReply { message }))
    }
}

struct Destructured;

#[traced_service]
#[tonic::async_trait]
impl Greeter for Destructured {
    async fn say_hello(&self, Request { .. }: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct Bound;

#[traced_service]
#[tonic::async_trait]
impl Greeter for Bound {
    async fn say_hello(&self, hello @ Request { .. }: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = hello.into_inner().name;
        Ok(Response::new(HelloReply { message }))
    }
}
