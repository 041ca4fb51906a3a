// Needs `#[async_trait]` for a trait object.
#![deny(warnings)]

use std::pin::Pin;

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

type Lines = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

#[tonic::async_trait]
trait Chat: Send + Sync {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;
    type ListenStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
    async fn listen(&self, request: Request<String>) -> Result<Response<Self::ListenStream>, Status>;
}

#[tonic::async_trait]
trait SqlChat: Send + Sync + Sized + 'static {
    async fn query(&self, request: Request<String>) -> Result<Response<<Self as Chat>::TalkStream>, Status>;
    async fn other(&self, request: Request<String>) -> Result<Response<Lines>, Status>;
}

// As in Arrow Flight SQL, every `SqlChat` is a `Chat`.
#[traced_service(boxed_streams)]
#[tonic::async_trait]
impl<T: SqlChat> Chat for T {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send + 'static>>;
    type ListenStream = Lines;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        if request.get_ref().is_empty() {
            return Ok(Response::new(Box::pin(tokio_stream::empty())));
        }
        self.query(request).await
    }

    async fn listen(&self, request: Request<String>) -> Result<Response<Lines>, Status> {
        let lines = self.other(request).await?.into_inner();
        Ok(Response::new(Box::pin(lines) as Self::ListenStream))
    }
}

struct MySql;

#[tonic::async_trait]
impl SqlChat for MySql {
    async fn query(&self, _: Request<String>) -> Result<Response<<Self as Chat>::TalkStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn other(&self, _: Request<String>) -> Result<Response<Lines>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }
}

fn helper() -> Response<<MySql as Chat>::ListenStream> {
    Response::new(Box::pin(tokio_stream::empty()))
}

fn object() -> Box<dyn Chat<TalkStream = Lines, ListenStream = Lines>> {
    Box::new(MySql)
}
