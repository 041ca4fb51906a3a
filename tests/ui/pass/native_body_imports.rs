#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest};
use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

trait Greeter {
    type ChatStream: Stream<Item = Result<HelloReply, Status>>;

    fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> impl Future<Output = Result<Response<HelloReply>, Status>> + Send;

    fn chat(
        &self,
        request: Request<HelloRequest>,
    ) -> impl Future<Output = Result<Response<Self::ChatStream>, Status>> + Send;
}

mod other {
    pub(super) enum Status {
        Known,
    }
}

struct MyGreeter;

// Imports and items of a body have names that the return type contains.
#[traced_service]
impl Greeter for MyGreeter {
    type ChatStream = tokio_stream::Empty<Result<HelloReply, Status>>;

    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        use other::Status;

        struct Response {
            status: Status,
        }
        type HelloReply = String;

        let response = Response { status: Status::Known };
        let message: HelloReply = match response.status {
            Status::Known => request.into_inner().name,
        };
        Ok(tonic::Response::new(examples::helloworld::HelloReply { message }))
    }

    async fn chat(&self, _: Request<HelloRequest>) -> Result<Response<Self::ChatStream>, Status> {
        struct Result;
        mod otel_runtime {}

        Ok(Response::new(tokio_stream::empty()))
    }
}
