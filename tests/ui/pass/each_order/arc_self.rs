#![deny(warnings)]

use std::pin::Pin;
use std::sync::Arc;

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

// Like a trait generated with tonic-build's `use_arc_self`.
#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(self: Arc<Self>, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
    async fn listen(self: std::sync::Arc<Self>, request: Request<()>) -> Result<Response<String>, Status>;
}

struct MyChat {
    name: String,
}

#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(self: Arc<Self>, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        let chat = Arc::clone(&self);
        let listener = tokio::spawn(async move { chat.listen(Request::new(())).await });
        let heard = listener.await.map_err(|error| Status::internal(error.to_string()))??;
        Ok(Response::new(Box::pin(tokio_stream::iter([
            Ok(request.into_inner()),
            Ok(heard.into_inner()),
        ]))))
    }

    async fn listen(self: Arc<Self>, _: Request<()>) -> Result<Response<String>, Status> {
        Ok(Response::new(self.name.clone()))
    }
}

struct Below {
    name: String,
}

#[tonic::async_trait]
#[traced_service]
impl Chat for Below {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(self: Arc<Self>, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }

    async fn listen(self: Arc<Self>, _: Request<()>) -> Result<Response<String>, Status> {
        Ok(Response::new(self.name.clone()))
    }
}
