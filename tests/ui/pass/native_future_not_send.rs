//! Native `async fn`s whose futures are not `Send`, for each kind of response.

#![deny(warnings)]

use std::future::ready;
use std::pin::Pin;
use std::rc::Rc;

use otel_runtime::traced_service;
use tokio_stream::{Empty, Stream, empty};
use tonic::{Request, Response, Status};

type Boxed = Pin<Box<dyn Stream<Item = Result<u32, Status>> + Send>>;

trait Numbers {
    type NamedStream;
    type BoxedStream;

    async fn unary(&self, request: Request<u32>) -> Result<Response<u32>, Status>;
    async fn named(&self, request: Request<u32>) -> Result<Response<Self::NamedStream>, Status>;
    async fn boxed(&self, request: Request<u32>) -> Result<Response<Self::BoxedStream>, Status>;
    async fn default_stub(&self, request: Request<u32>) -> Result<Response<Boxed>, Status>;
}

struct MyNumbers(Rc<u32>);

#[traced_service]
impl Numbers for MyNumbers {
    type NamedStream = Empty<Result<u32, Status>>;
    type BoxedStream = Boxed;

    async fn unary(&self, _: Request<u32>) -> Result<Response<u32>, Status> {
        let number = Rc::clone(&self.0);
        ready(()).await;
        Ok(Response::new(*number))
    }

    async fn named(&self, _: Request<u32>) -> Result<Response<Self::NamedStream>, Status> {
        ready(Rc::clone(&self.0)).await;
        Ok(Response::new(empty()))
    }

    async fn boxed(&self, _: Request<u32>) -> Result<Response<Self::BoxedStream>, Status> {
        ready(Rc::clone(&self.0)).await;
        Ok(Response::new(Box::pin(empty())))
    }

    async fn default_stub(&self, _: Request<u32>) -> Result<Response<Boxed>, Status> {
        ready(Rc::clone(&self.0)).await;
        Ok(Response::new(Box::pin(empty())))
    }
}

struct WithBoxedStreams(Rc<u32>);

#[traced_service(boxed_streams)]
impl Numbers for WithBoxedStreams {
    type NamedStream = Boxed;
    type BoxedStream = Boxed;

    async fn unary(&self, _: Request<u32>) -> Result<Response<u32>, Status> {
        ready(()).await;
        Ok(Response::new(*self.0))
    }

    async fn named(&self, _: Request<u32>) -> Result<Response<Self::NamedStream>, Status> {
        ready(Rc::clone(&self.0)).await;
        Ok(Response::new(Box::pin(empty())))
    }

    async fn boxed(&self, _: Request<u32>) -> Result<Response<Self::BoxedStream>, Status> {
        ready(Rc::clone(&self.0)).await;
        Ok(Response::new(Box::pin(empty())))
    }

    async fn default_stub(&self, _: Request<u32>) -> Result<Response<Boxed>, Status> {
        ready(Rc::clone(&self.0)).await;
        Ok(Response::new(Box::pin(empty())))
    }
}
