//! Methods that are no `async fn`, but return an `impl Future`.

#![deny(warnings)]

use std::future::{Future, ready};
use std::pin::Pin;

use otel_runtime::traced_service;
use tokio_stream::{Empty, Stream, empty};
use tonic::{Request, Response, Status};

type Boxed = Pin<Box<dyn Stream<Item = Result<u32, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

trait Numbers {
    type NamedStream;

    fn unary(&self, request: Request<u32>) -> impl Future<Output = Answer<u32>> + Send;
    fn named(&self, request: Request<u32>) -> impl Future<Output = Answer<Self::NamedStream>> + Send;
    fn default_stub(&self, request: Request<u32>) -> impl Future<Output = Answer<Boxed>> + Send;
}

struct MyNumbers(u32);

#[traced_service]
impl Numbers for MyNumbers {
    type NamedStream = Empty<Result<u32, Status>>;

    fn unary(&self, request: Request<u32>) -> impl Future<Output = Answer<u32>> + Send {
        if request.get_ref() == &0 {
            return ready(Err(Status::invalid_argument("zero")));
        }
        ready(Ok(Response::new(self.0)))
    }

    fn named(&self, _: Request<u32>) -> impl Future<Output = Result<Response<Self::NamedStream>, Status>> + Send {
        async move {
            ready(self.0).await;
            Ok(Response::new(empty()))
        }
    }

    #[allow(clippy::manual_async_fn)]
    fn default_stub(&self, request: Request<u32>) -> impl Future<Output = Answer<Boxed>> + Send + use<'_> {
        async move {
            ready(request).await;
            Ok(Response::new(Box::pin(empty()) as Boxed))
        }
    }
}
