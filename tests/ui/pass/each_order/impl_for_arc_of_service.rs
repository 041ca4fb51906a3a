// Needs `#[async_trait]`: the futures of another service are not known to be `Send`.
#![deny(warnings)]

use std::sync::Arc;

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
    async fn listen(&self, request: Request<()>) -> Result<Response<String>, Status>;
}

#[traced_service]
#[tonic::async_trait]
impl<T: Chat + Send + Sync> Chat for Arc<T> {
    type TalkStream = T::TalkStream;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        T::talk(self, request).await
    }

    async fn listen(&self, request: Request<()>) -> Result<Response<String>, Status> {
        (**self).listen(request).await
    }
}
