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

type Lines = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;
type Talk = Result<Response<Lines>, Status>;

struct Spelled;

#[traced_service]
#[tonic::async_trait]
impl Chat for Spelled {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(
        &self,
        request: Request<String>,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}

struct Aliased;

#[traced_service]
#[tonic::async_trait]
impl Chat for Aliased {
    type TalkStream = Lines;

    async fn talk(&self, request: Request<String>) -> Result<Response<Lines>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}

struct Hidden;

#[traced_service]
#[tonic::async_trait]
impl Chat for Hidden {
    type TalkStream = Lines;

    async fn talk(&self, request: Request<String>) -> Talk {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}

struct Below;

#[tonic::async_trait]
#[traced_service]
impl Chat for Below {
    type TalkStream = Lines;

    async fn talk(&self, request: Request<String>) -> Talk {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}
