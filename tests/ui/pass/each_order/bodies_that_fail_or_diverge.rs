#![deny(warnings)]

use std::pin::Pin;

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
    async fn listen(&self, request: Request<()>) -> Result<Response<String>, Status>;
}

struct Todo;

#[traced_service]
#[tonic::async_trait]
impl Chat for Todo {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        todo!()
    }

    async fn listen(&self, _request: Request<()>) -> Result<Response<String>, Status> {
        unimplemented!("never heard of it")
    }
}

struct OnlyErrors;

#[traced_service]
#[tonic::async_trait]
impl Chat for OnlyErrors {
    type TalkStream = tokio_stream::Empty<Result<String, Status>>;

    async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Err(Status::unimplemented("never heard of it"))
    }

    async fn listen(&self, _: Request<()>) -> Result<Response<String>, Status> {
        return Err(Status::unimplemented("never heard of it"));
    }
}

struct Diverging;

#[traced_service]
#[tonic::async_trait]
impl Chat for Diverging {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        loop {
            tokio::task::yield_now().await;
        }
    }

    async fn listen(&self, request: Request<()>) -> Result<Response<String>, Status> {
        if request.metadata().is_empty() {
            panic!("who is there?")
        } else {
            std::process::exit(1)
        }
    }
}

struct Endless;

#[traced_service]
#[tonic::async_trait]
impl Chat for Endless {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        loop {}
    }

    async fn listen(&self, _: Request<()>) -> Result<Response<String>, Status> {
        match std::future::pending::<std::convert::Infallible>().await {}
    }
}
