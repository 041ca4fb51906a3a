#![deny(warnings)]

use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
    async fn listen(&self, request: Request<()>) -> Result<Response<String>, Status>;
}

trait Store: Send + Sync + 'static {
    type Lines: Stream<Item = Result<String, Status>> + Send + 'static;

    fn lines(&self) -> Self::Lines;
}

struct Stored<S, E>(S, PhantomData<E>);

#[traced_service]
#[tonic::async_trait]
impl<S, E> Chat for Stored<S, E>
where
    S: Store,
    S::Lines: Unpin,
    E: Display + Default + Send + Sync + 'static,
{
    type TalkStream = S::Lines;

    async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(self.0.lines()))
    }

    async fn listen(&self, _: Request<()>) -> Result<Response<String>, Status> {
        Err(Status::internal(E::default().to_string()))
    }
}

struct Lifetimes<'a>(&'a str);

#[traced_service]
#[tonic::async_trait]
impl<'a> Chat for Lifetimes<'a>
where
    'a: 'static,
{
    type TalkStream = tokio_stream::Once<Result<String, Status>>;

    async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(tokio_stream::once(Ok(self.0.to_owned()))))
    }

    async fn listen(&self, _: Request<()>) -> Result<Response<String>, Status> {
        Ok(Response::new(self.0.to_owned()))
    }
}

struct Constants<const N: usize>([&'static str; N]);

#[traced_service]
#[tonic::async_trait]
impl<const N: usize> Chat for Constants<N> {
    type TalkStream = tokio_stream::Iter<std::array::IntoIter<Result<String, Status>, N>>;

    async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(tokio_stream::iter(self.0.map(|line| Ok(line.to_owned())))))
    }

    async fn listen(&self, _: Request<()>) -> Result<Response<String>, Status> {
        Ok(Response::new(format!("{N}")))
    }
}

#[tonic::async_trait]
trait Echo {
    async fn echo(&self, request: Request<String>) -> Result<Response<String>, Status>;
}

#[traced_service]
#[tonic::async_trait]
impl Echo for Arc<Mutex<String>> {
    async fn echo(&self, request: Request<String>) -> Result<Response<String>, Status> {
        let mut last = self.lock().map_err(|_| Status::internal("poisoned"))?;
        Ok(Response::new(std::mem::replace(&mut *last, request.into_inner())))
    }
}

#[tonic::async_trait]
trait Blanket {
    async fn blanket(&self, request: Request<String>) -> Result<Response<String>, Status>;
}

#[traced_service]
#[tonic::async_trait]
impl<T: Display + ?Sized + Send + Sync> Blanket for T {
    async fn blanket(&self, _: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(self.to_string()))
    }
}
