#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest};
use otel_runtime::{Instrumentation, traced_service};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

type Line = Result<HelloReply, Status>;

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Line> + Send + 'static;

    async fn talk(&self, request: Request<HelloRequest>) -> Result<Response<Self::TalkStream>, Status>;

    async fn greet(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status>;
}

// Every value has the methods of these, with one of the names that generated code calls.
trait Everything: Sized {
    fn returning<R>(self) {}
    fn start(self) {}
    fn start_with(self) {}
    fn respond(self) {}
    fn respond_stream(self) {}
    fn with_attributes(self) {}
    fn with_service(self) {}
    fn with_method(self) {}
    fn public_endpoint(self) {}
    fn request_headers(self) {}
}

impl<T> Everything for T {}

struct MyChat {
    instrumentation: Instrumentation,
}

#[traced_service(public_endpoint, request_headers("x-tenant"), instrumentation = self.instrumentation)]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = tokio_stream::Empty<Line>;

    async fn talk(&self, _: Request<HelloRequest>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    #[traced(name = "Greet", fields(name = request.get_ref().name.as_str()))]
    async fn greet(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        request.start();
        Ok(Response::new(HelloReply::default()))
    }
}

struct Plain;

#[traced_service]
#[tonic::async_trait]
impl Chat for Plain {
    type TalkStream = tokio_stream::Empty<Line>;

    async fn talk(&self, _: Request<HelloRequest>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn greet(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply::default()))
    }
}
