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

type RpcResult<T> = Result<Response<T>, Status>;
type RpcRequest = Request<String>;
type Lines = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;
type TonicResult<T> = Result<T, Status>;

#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = Lines;

    async fn talk(&self, request: RpcRequest) -> RpcResult<Self::TalkStream> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}

#[tonic::async_trait]
trait Echo {
    async fn echo(&self, request: Request<String>) -> Result<Response<String>, Status>;
    async fn shout(&self, request: Request<String>) -> Result<Response<String>, Status>;
}

#[traced_service]
#[tonic::async_trait]
impl Echo for MyChat {
    async fn echo(&self, request: RpcRequest) -> RpcResult<String> {
        Ok(Response::new(request.into_inner()))
    }

    async fn shout(&self, request: RpcRequest) -> TonicResult<Response<String>> {
        Ok(Response::new(request.into_inner().to_uppercase()))
    }
}
