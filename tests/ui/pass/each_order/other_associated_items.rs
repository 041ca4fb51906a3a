#![deny(warnings)]

use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

// Items that tonic does not generate: a type that is not a stream, a `…Stream` type without a
// method of that name, and a constant.
#[tonic::async_trait]
trait Chat {
    const LIMIT: usize;
    type Line: From<String> + Send + 'static;
    type UpStream: Default + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::Line>, Status>;
    async fn upstream(&self, request: Request<String>) -> Result<Response<String>, Status>;
}

struct MyChat;

#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    const LIMIT: usize = 100;
    type Line = Box<str>;
    type UpStream = u32;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::Line>, Status> {
        let mut line = request.into_inner();
        line.truncate(Self::LIMIT);
        Ok(Response::new(Self::Line::from(line)))
    }

    async fn upstream(&self, _: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(Self::UpStream::default().to_string()))
    }
}
