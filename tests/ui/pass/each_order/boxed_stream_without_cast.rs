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

struct TooShort;

impl From<TooShort> for Status {
    fn from(_: TooShort) -> Status {
        Status::invalid_argument("too short")
    }
}

struct Tail;

#[traced_service]
#[tonic::async_trait]
impl Chat for Tail {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(request.into_inner())]))))
    }
}

struct EarlyReturn;

#[traced_service]
#[tonic::async_trait]
impl Chat for EarlyReturn {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        let text = request.into_inner();
        if text.is_empty() {
            return Ok(Response::new(Box::pin(tokio_stream::empty())));
        }
        if text.len() > 100 {
            return Err(Status::resource_exhausted("too long"));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(text)]))))
    }
}

struct QuestionMark;

#[traced_service]
#[tonic::async_trait]
impl Chat for QuestionMark {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        let text = request.into_inner();
        let first = text.chars().next().ok_or(TooShort)?;
        let second = text.chars().nth(1).ok_or_else(|| Status::invalid_argument("too short"))?;
        match second {
            ' ' => Ok(Response::new(Box::pin(tokio_stream::once(Ok(first.to_string()))))),
            _ => Ok(Response::new(Box::pin(tokio_stream::once(Ok(text))))),
        }
    }
}

struct Let;

#[traced_service]
#[tonic::async_trait]
impl Chat for Let {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        let lines: Self::TalkStream = Box::pin(tokio_stream::once(Ok(request.into_inner())));
        Ok(lines.into())
    }
}
