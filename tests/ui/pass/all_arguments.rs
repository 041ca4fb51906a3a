#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::{Instrumentation, traced_service};
use tonic::{Request, Response, Status};

struct MyGreeter {
    zone: String,
    instrumentation: Instrumentation,
}

#[traced_service(
    public_endpoint,
    request_headers("x-tenant", "trace-bin",),
    response_headers("x-served-by"),
    response_trailers("x-retry-after"),
    instrumentation = self.instrumentation,
)]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    #[traced(name = "SayHELLO")]
    #[traced(fields(
        name = request.get_ref().name.as_str(),
        name.length = request.get_ref().name.len(),
        "zone-of-service" = self.zone.as_str(),
        r#type = "greeting",
    ))]
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply { message: request.into_inner().name }))
    }
}

struct Below {
    instrumentation: Instrumentation,
}

#[tonic::async_trait]
#[traced_service(instrumentation = &self.instrumentation)]
impl Greeter for Below {
    #[traced(fields(name = request.get_ref().name.as_str(), instrumented = format!("{:?}", self.instrumentation)))]
    async fn say_hello(&self, mut request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = std::mem::take(&mut request.get_mut().name);
        Ok(Response::new(HelloReply { message }))
    }
}

struct Skipped;

#[traced_service(skip(say_hello))]
#[tonic::async_trait]
impl Greeter for Skipped {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply { message: request.into_inner().name }))
    }
}
