use otel_runtime::traced_service;
use tonic::{Request, Response};

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self, request: Request<()>) -> Result<Response<()>, String>;
}

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, _request: Request<()>) -> Result<Response<()>, String> {
        todo!()
    }
}

fn main() {}
