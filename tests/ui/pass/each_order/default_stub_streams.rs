#![deny(warnings)]

use otel_runtime::traced_service;
use tokio_stream::StreamExt;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

// Like a trait generated with tonic-build's `generate_default_stubs`.
#[tonic::async_trait]
trait Chat {
    async fn talk(&self, _: Request<String>) -> Result<Response<BoxStream<String>>, Status> {
        Err(Status::unimplemented("Not yet implemented"))
    }

    async fn listen(&self, _: Request<String>) -> Result<Response<String>, Status> {
        Err(Status::unimplemented("Not yet implemented"))
    }
}

type Lines = BoxStream<String>;
type Talk = Result<Response<Lines>, Status>;

struct Spelled;

#[traced_service]
#[tonic::async_trait]
impl Chat for Spelled {
    async fn talk(&self, request: Request<String>) -> Result<Response<BoxStream<String>>, Status> {
        if request.get_ref().is_empty() {
            return Ok(Response::new(Box::pin(tokio_stream::empty())));
        }
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }

    async fn listen(&self, request: Request<String>) -> Result<Response<String>, Status> {
        let mut lines = self.talk(request).await?.into_inner();
        let line = lines.next().await.ok_or_else(|| Status::not_found("silence"))?;
        line.map(Response::new)
    }
}

struct Aliased;

#[traced_service]
#[tonic::async_trait]
impl Chat for Aliased {
    async fn talk(&self, request: Request<String>) -> Talk {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}

struct Cast;

#[tonic::async_trait]
#[traced_service]
impl Chat for Cast {
    async fn talk(&self, request: Request<String>) -> Result<Response<Lines>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner()))) as Lines))
    }
}

struct Generic<T>(T);

#[traced_service]
#[tonic::async_trait]
impl<T: Clone + Into<String> + Send + Sync + 'static> Chat for Generic<T> {
    async fn talk(&self, _: Request<String>) -> Result<Response<BoxStream<String>>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(self.0.clone().into())))))
    }
}
