#![deny(warnings)]

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Game {
    type MatchStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn r#move(&self, request: Request<String>) -> Result<Response<String>, Status>;
    async fn r#match(&self, request: Request<String>) -> Result<Response<Self::MatchStream>, Status>;
}

struct MyGame;

#[traced_service]
#[tonic::async_trait]
impl Game for MyGame {
    type MatchStream = tokio_stream::Once<Result<String, Status>>;

    async fn r#move(&self, r#in: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(r#in.into_inner()))
    }

    async fn r#match(&self, request: Request<String>) -> Result<Response<Self::MatchStream>, Status> {
        Ok(Response::new(tokio_stream::once(Ok(request.into_inner()))))
    }
}

struct Below;

#[tonic::async_trait]
#[traced_service]
impl Game for Below {
    type MatchStream = tokio_stream::Once<Result<String, Status>>;

    async fn r#move(&self, r#in: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(r#in.into_inner()))
    }

    async fn r#match(&self, request: Request<String>) -> Result<Response<Self::MatchStream>, Status> {
        Ok(Response::new(tokio_stream::once(Ok(request.into_inner()))))
    }
}
