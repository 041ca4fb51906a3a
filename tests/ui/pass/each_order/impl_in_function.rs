#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status>;
}

fn greeter() -> impl Greeter {
    use tonic::Request as Ask;

    struct Local;

    #[traced_service]
    #[tonic::async_trait]
    impl Greeter for Local {
        async fn say_hello(&self, ask: Ask<HelloRequest>) -> Result<Response<HelloReply>, Status> {
            let message = ask.into_inner().name;
            Ok(Response::new(HelloReply { message }))
        }
    }

    Local
}

async fn call() -> Result<Response<HelloReply>, Status> {
    greeter().say_hello(Request::new(HelloRequest::default())).await
}

const _: fn() = || drop(call());
