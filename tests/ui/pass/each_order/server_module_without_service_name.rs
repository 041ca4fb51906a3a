// Needs `#[async_trait]`: the trait is generated.

#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest};
use tonic::{Request, Response, Status};

// arrow-flight re-exports the trait in such a module, without `SERVICE_NAME`.
mod greeter_server {
    pub use examples::helloworld::greeter_server::Greeter;
}

struct MyGreeter;

#[otel_runtime::traced_service]
#[tonic::async_trait]
impl greeter_server::Greeter for MyGreeter {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}

fn in_a_function() {
    use examples::helloworld as proto;

    struct InAFunction;

    #[otel_runtime::traced_service]
    #[tonic::async_trait]
    impl proto::greeter_server::Greeter for InAFunction {
        async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
            Ok(Response::new(HelloReply::default()))
        }
    }
}
