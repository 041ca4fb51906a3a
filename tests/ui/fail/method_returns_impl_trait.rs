use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

trait Chat {
    fn talk(
        &self,
        request: Request<String>,
    ) -> impl Future<Output = Result<Response<impl Stream<Item = Result<String, Status>> + Send>, Status>> + Send;
}

struct MyChat;

#[traced_service]
impl Chat for MyChat {
    async fn talk(
        &self,
        request: Request<String>,
    ) -> Result<Response<impl Stream<Item = Result<String, Status>> + Send>, Status> {
        Ok(Response::new(tokio_stream::once(Ok(request.into_inner()))))
    }
}

fn main() {}
