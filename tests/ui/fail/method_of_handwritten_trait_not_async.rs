use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Greeter {
    fn say_hello(&self, _: Request<()>) -> Result<Response<()>, Status>;
}

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    fn say_hello(&self, _: Request<()>) -> Result<Response<()>, Status> {
        todo!()
    }
}

fn main() {}
