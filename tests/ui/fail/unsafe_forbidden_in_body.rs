// Only the body's own block is an error: the generated code has none.
#![forbid(unsafe_code)]

use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let name = request.into_inner().name.into_bytes();
        let first = unsafe { *name.get_unchecked(0) };
        Ok(Response::new(HelloReply { message: char::from(first).to_string() }))
    }
}

fn main() {}
