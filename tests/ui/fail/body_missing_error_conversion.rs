use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let number: u32 = request.into_inner().name.parse()?;
        let message = format!("Hello, {number}!");
        Ok(Response::new(HelloReply { message }))
    }
}

fn main() {}
