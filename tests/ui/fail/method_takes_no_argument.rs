use otel_runtime::traced_service;
use tonic::{Response, Status};

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self) -> Result<Response<()>, Status>;
}

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self) -> Result<Response<()>, Status> {
        todo!()
    }
}

fn main() {}
