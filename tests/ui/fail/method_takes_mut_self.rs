use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&mut self, request: Request<()>) -> Result<Response<()>, Status>;
}

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&mut self, _request: Request<()>) -> Result<Response<()>, Status> {
        todo!()
    }
}

fn main() {}
