use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

struct MyGreeter;

#[traced_service(
    request_headers("*", "*-id", "x-*-id", "x-tenant-**", "X-Tenant-*", "x tenant-*", "authorization*", "x-tenant-token-*"),
    response_headers("x-shard-*", "x-shard-*")
)]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply { message: request.into_inner().name }))
    }
}

fn main() {}
