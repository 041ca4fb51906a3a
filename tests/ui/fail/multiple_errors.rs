use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self, _: Request<()>) -> Result<Response<()>, Status>;
    async fn say_goodbye(&self) -> Result<Response<()>, Status>;
    async fn say_nothing(&self, _: Request<()>);
}

struct MyGreeter;

#[traced_service(nam = "helloworld.Greeter", service = 1, crate)]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    fn say_hello(&self, _: Request<()>) -> Result<Response<()>, Status> {
        todo!()
    }

    async fn say_goodbye(&self) -> Result<Response<()>, Status> {
        todo!()
    }

    async fn say_nothing(&self, _: Request<()>) {}
}

fn main() {}
