#![deny(warnings)]

use std::pin::Pin;

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
}

struct MyChat;

#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    #[cfg(unix)]
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;
    #[cfg(not(unix))]
    type TalkStream = tokio_stream::Empty<Result<String, Status>>;

    #[cfg(unix)]
    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }

    #[cfg(not(unix))]
    async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

struct OtherWayRound;

#[traced_service]
#[tonic::async_trait]
impl Chat for OtherWayRound {
    #[cfg(not(unix))]
    type TalkStream = tokio_stream::Empty<Result<String, Status>>;
    #[cfg(unix)]
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}
