use otel_runtime::traced_service;
use tonic::Request;

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self, request: Request<()>);
}

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, _request: Request<()>) {
        todo!()
    }
}

fn main() {}
