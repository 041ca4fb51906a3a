#![deny(warnings)]

use std::pin::Pin;

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use tracing::instrument;

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
    async fn listen(&self, request: Request<String>) -> Result<Response<String>, Status>;
    async fn hum(&self, request: Request<String>) -> Result<Response<String>, Status>;
    async fn rest(&self, request: Request<String>) -> Result<Response<String>, Status>;
}

struct MyChat;

#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    #[tracing::instrument(skip(self, request), err, fields(line = request.get_ref().as_str()))]
    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        if request.get_ref().is_empty() {
            return Err(Status::invalid_argument("nothing said"));
        }
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }

    #[instrument(skip_all, ret, err(Debug), fields(length = %request.get_ref().len(), heard))]
    async fn listen(&self, request: Request<String>) -> Result<Response<String>, Status> {
        tracing::Span::current().record("heard", true);
        Ok(Response::new(request.into_inner()))
    }

    /// Hums.
    #[instrument(name = "humming", level = "debug", skip(self))]
    #[allow(unused_mut)]
    async fn hum(&self, mut request: Request<String>) -> Result<Response<String>, Status> {
        let line = request.into_inner().parse::<u32>().map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Response::new(line.to_string()))
    }

    #[instrument(skip_all)]
    async fn rest(&self, _: Request<String>) -> Result<Response<String>, Status> {
        Err(Status::unimplemented("no rest"))
    }
}
