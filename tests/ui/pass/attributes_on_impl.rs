#![deny(warnings)]

use async_trait::async_trait;
use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

struct Unformatted;

#[rustfmt::skip]
#[traced_service]
#[rustfmt::skip]
#[tonic::async_trait]
#[rustfmt::skip]
impl Greeter for Unformatted {
    #[rustfmt::skip]
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> { Ok(Response::new(HelloReply::default())) }
}

struct Configured;

#[cfg(not(feature = "silent"))]
#[traced_service]
#[cfg(not(feature = "silent"))]
#[tonic::async_trait]
impl Greeter for Configured {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

#[traced_service]
#[cfg(feature = "silent")]
#[tonic::async_trait]
impl Greeter for Configured {}

struct Conditional;

#[cfg_attr(not(feature = "silent"), traced_service, allow(unused_mut))]
#[cfg_attr(unix, async_trait)]
#[cfg_attr(not(unix), tonic::async_trait)]
impl Greeter for Conditional {
    #[cfg_attr(not(feature = "silent"), tracing::instrument(skip_all))]
    async fn say_hello(&self, mut request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = request.into_inner().name;
        Ok(Response::new(HelloReply { message }))
    }
}

struct TwiceBelow;

#[traced_service]
#[tonic::async_trait]
#[async_trait]
impl Greeter for TwiceBelow {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct TwiceAround;

#[tonic::async_trait]
#[traced_service]
#[async_trait]
impl Greeter for TwiceAround {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

struct TwiceAbove;

#[tonic::async_trait]
#[async_trait]
#[traced_service]
impl Greeter for TwiceAbove {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}
