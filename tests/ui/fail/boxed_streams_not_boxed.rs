use examples::helloworld::HelloReply;
use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<HelloReply, Status>> + Send + 'static;

    async fn talk(&self, request: Request<HelloReply>) -> Result<Response<Self::TalkStream>, Status>;
}

struct MyChat;

#[traced_service(boxed_streams)]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = tokio_stream::Empty<Result<HelloReply, Status>>;

    async fn talk(&self, _: Request<HelloReply>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

fn main() {}
