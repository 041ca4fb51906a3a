use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
}

struct MyChat;

// The attribute adds no error to the compiler's own about the unstable feature.
#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = impl Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(tokio_stream::once(Ok(request.into_inner()))))
    }
}

fn main() {}
