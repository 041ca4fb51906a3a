#![deny(warnings)]

use std::pin::Pin;

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;
    type HumStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
    async fn hum(&self, request: Request<String>) -> Result<Response<Self::HumStream>, Status>;
}

struct MyChat;

#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;
    type HumStream = Self::TalkStream;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        let lines: Self::HumStream = Box::pin(tokio_stream::once(Ok(request.into_inner())));
        Ok(Response::new(lines))
    }

    async fn hum(&self, request: Request<String>) -> Result<Response<Self::HumStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}

struct OtherWayRound;

#[traced_service]
#[tonic::async_trait]
impl Chat for OtherWayRound {
    type TalkStream = Self::HumStream;
    type HumStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }

    async fn hum(&self, request: Request<String>) -> Result<Response<Self::HumStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}
