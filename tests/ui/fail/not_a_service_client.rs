use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::{HelloReply, HelloRequest};
use otel_runtime::traced_service;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Greet {
    async fn greet(&mut self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status>;
}

#[traced_service]
#[tonic::async_trait]
impl Greet for GreeterClient<Channel> {
    async fn greet(&mut self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.say_hello(request).await
    }
}

fn main() {}
