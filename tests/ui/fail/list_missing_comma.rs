use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

struct MyGreeter;

#[traced_service(request_headers("x-tenant") public_endpoint)]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        todo!()
    }
}

fn main() {}
