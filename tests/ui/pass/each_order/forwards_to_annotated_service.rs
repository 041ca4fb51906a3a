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
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}

struct Wrapper<C>(C);

#[traced_service]
#[tonic::async_trait]
impl<C: Chat + Send + Sync + 'static> Chat for Wrapper<C> {
    type TalkStream = C::TalkStream;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        self.0.talk(request).await
    }
}

const _: fn() = || {
    fn is_a_service(_: &impl Chat) {}
    is_a_service(&Wrapper(Wrapper(MyChat)));
};
