use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

trait Greeter {
    async fn say_hello(&self, request: Request<()>) -> Result<Response<()>, Status>;
}

struct MyGreeter;

#[traced_service]
impl Greeter for MyGreeter {
    #[tokio::main]
    async fn say_hello(&self, _request: Request<()>) -> Result<Response<()>, Status> {
        todo!()
    }
}

fn main() {}
