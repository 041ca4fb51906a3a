#![deny(warnings)]

use std::pin::Pin;

use otel_runtime::traced_service;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
}

macro_rules! reply {
    ($stream:expr, $ty:ty) => {
        Ok(Response::new($stream as $ty))
    };
}

macro_rules! forward {
    ($($tokens:tt)*) => { $($tokens)* };
}

struct InACast;

#[traced_service]
#[tonic::async_trait]
impl Chat for InACast {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        let lines = tokio_stream::once(Ok(request.into_inner()));
        Ok(Response::new(Box::pin(lines) as Self::TalkStream))
    }
}

struct Qualified;

#[traced_service]
#[tonic::async_trait]
impl Chat for Qualified {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<<Self as Chat>::TalkStream>, Status> {
        let lines: <Self as Chat>::TalkStream = Box::pin(tokio_stream::once(Ok(request.into_inner())));
        Ok(Response::new(lines))
    }
}

struct InAMacro;

#[traced_service]
#[tonic::async_trait]
impl Chat for InAMacro {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        if request.get_ref().is_empty() {
            return reply!(Box::pin(tokio_stream::empty()), Self::TalkStream);
        }
        forward! {
            let lines: Self::TalkStream = Box::pin(tokio_stream::once(Ok(request.into_inner())));
            reply!(lines, <Self as Chat>::TalkStream)
        }
    }
}

struct InAPath;

#[traced_service]
#[tonic::async_trait]
impl Chat for InAPath {
    type TalkStream = ReceiverStream<Result<String, Status>>;

    async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        let (_sender, receiver) = tokio::sync::mpsc::channel(1);
        let lines = Self::TalkStream::new(receiver);
        Ok(Response::<Self::TalkStream>::new(lines))
    }
}

struct InATurbofish;

#[traced_service]
#[tonic::async_trait]
impl Chat for InATurbofish {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        let lines = Some(request.into_inner()).map::<Self::TalkStream, _>(|line| Box::pin(tokio_stream::once(Ok(line))));
        let lines = lines.ok_or_else(|| Status::internal("lost"))?;
        Ok(Response::new(Box::pin(lines.map(|line| line)) as Pin<Box<_>>))
    }
}

struct Forwarding;

impl Forwarding {
    fn lines() -> <Inner as Chat>::TalkStream {
        Box::pin(tokio_stream::empty())
    }
}

struct Inner;

#[tonic::async_trait]
impl Chat for Inner {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(Forwarding::lines()))
    }
}

// Forwards to a service without the attribute, whose stream type is not wrapped.
#[traced_service]
#[tonic::async_trait]
impl Chat for Forwarding {
    type TalkStream = <Inner as Chat>::TalkStream;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Inner.talk(request).await
    }
}
