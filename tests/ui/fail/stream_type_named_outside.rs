use std::pin::Pin;

use examples::helloworld::HelloReply;
use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

type Lines = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<HelloReply, Status>> + Send + 'static;

    async fn talk(&self, request: Request<HelloReply>) -> Result<Response<Self::TalkStream>, Status>;
}

struct MyChat;

#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = Lines;

    async fn talk(&self, _: Request<HelloReply>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }
}

fn helper(lines: Lines) -> Response<<MyChat as Chat>::TalkStream> {
    Response::new(lines)
}

fn main() {}
