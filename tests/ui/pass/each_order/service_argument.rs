// Needs `#[async_trait]`: the trait is generated.

#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest, greeter_server};
use greeter_server::Greeter;
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

const NAME: &str = "helloworld.Greeter";

struct Names;

impl Names {
    const GREETER: &'static str = NAME;
}

struct Literal;

#[traced_service(service = "helloworld.Greeter")]
#[tonic::async_trait]
impl Greeter for Literal {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct Constant;

#[traced_service(service = NAME)]
#[tonic::async_trait]
impl Greeter for Constant {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct Generated;

#[traced_service(service = greeter_server::SERVICE_NAME,)]
#[tonic::async_trait]
impl Greeter for Generated {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct Associated;

#[traced_service(service = Names::GREETER)]
#[tonic::async_trait]
impl Greeter for Associated {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}
