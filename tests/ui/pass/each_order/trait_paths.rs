// Needs `#[async_trait]`: the trait is generated.

#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest, greeter_server};
use greeter_server::Greeter as Hello;
use tonic::{Request, Response, Status};

struct Renamed;

#[otel_runtime::traced_service]
#[tonic::async_trait]
impl Hello for Renamed {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct FromTheModule;

#[otel_runtime::traced_service]
#[tonic::async_trait]
impl greeter_server::Greeter for FromTheModule {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct FromTheRoot;

#[otel_runtime::traced_service]
#[tonic::async_trait]
impl ::examples::helloworld::greeter_server::Greeter for FromTheRoot {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}
