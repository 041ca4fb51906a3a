use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let name = std::rc::Rc::new(request.into_inner().name);
        std::future::ready(()).await;
        Ok(Response::new(HelloReply { message: name.to_string() }))
    }
}

fn main() {}
