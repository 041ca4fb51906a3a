#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

use tonic::async_trait;
use tonic::async_trait as service;

struct Imported;

#[traced_service]
#[async_trait]
impl Greeter for Imported {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct Renamed;

#[traced_service]
#[service]
impl Greeter for Renamed {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct RenamedAbove;

#[service]
#[traced_service]
impl Greeter for RenamedAbove {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct ReExported;

#[traced_service]
#[tonic::codegen::async_trait]
impl Greeter for ReExported {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct OriginalCrate;

#[traced_service]
#[async_trait::async_trait]
impl Greeter for OriginalCrate {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}
