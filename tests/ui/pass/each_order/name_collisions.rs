#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status>;
}

// Generated code contains these names, too.
struct MyGreeter {
    __request: u32,
}

trait Respond {
    fn respond(self, with: &str) -> String;
}

impl Respond for &str {
    fn respond(self, with: &str) -> String {
        format!("{self}, {with}")
    }
}

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let __request = self.__request;
        let message = "Hello".respond(&__request.to_string());
        Ok(Response::new(HelloReply { message }))
    }
}
