use otel_runtime::traced_service;
use tonic::{Response, Status};

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self, request: HelloRequest) -> Result<Response<()>, Status>;
}

struct HelloRequest;

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, _request: HelloRequest) -> Result<Response<()>, Status> {
        todo!()
    }
}

fn main() {}
