use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

trait Greeter {
    async fn say_hello(&self, request: Request<String>) -> Result<Response<String>, Status>;
    async fn say_goodbye(&self, request: Request<String>) -> Result<Response<String>, Status>;
}

struct MyGreeter;

#[traced_service]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<String>) -> Result<Response<String>, Status> {
        let name = request.
    }

    async fn say_goodbye(&self, request: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

fn main() {}
