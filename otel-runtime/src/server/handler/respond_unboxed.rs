//! Running a handler that is an `async fn` to the end, since no `#[async_trait]` has rewritten it.

use std::marker::PhantomData;

use futures_core::Stream;
use tonic::{Response, Status};

use super::boxed_stream::{BoxStream, BoxedStream};
use super::call::HandlerCall;
use super::closure::start_unboxed;
use super::future;
use super::respond::ResponseKind;
use super::stream::TracedStream;

/// Like [`ResponseKind`], for futures that are not boxed, and need not be `Send`.
#[derive(Debug)]
pub struct Unboxed<R>(PhantomData<fn() -> R>);

#[allow(clippy::unused_self)]
impl<R> ResponseKind<R> {
    /// Selects futures that are not boxed, and need not be `Send`: those of an `async fn` that
    /// `#[async_trait]` has not rewritten.
    #[must_use]
    pub fn unboxed(self) -> Unboxed<R> {
        Unboxed(PhantomData)
    }
}

/// Runs a handler whose response is one message, as `RespondUnary` does, with an unboxed future.
pub trait RespondUnboxed<T> {
    /// Runs the handler that `closure` makes, inside the call that it starts.
    fn __respond<C, F>(self, closure: C) -> impl Future<Output = Result<Response<T>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F,
        F: Future<Output = Result<Response<T>, Status>>;
}

impl<T> RespondUnboxed<T> for Unboxed<Result<Response<T>, Status>> {
    fn __respond<C, F>(self, closure: C) -> impl Future<Output = Result<Response<T>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        future::respond(start_unboxed(closure))
    }
}

#[allow(clippy::unused_self)]
impl<S> Unboxed<Result<Response<S>, Status>> {
    /// Runs a handler whose response is a stream of a named type.
    pub fn respond_stream<C, F>(self, closure: C) -> impl Future<Output = Result<Response<TracedStream<S>>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F,
        F: Future<Output = Result<Response<S>, Status>>,
        S: Stream,
    {
        future::respond_stream(start_unboxed(closure))
    }

    /// Runs a handler whose response is a boxed stream, and boxes the traced stream again.
    pub fn respond_boxed_stream<C, F>(self, closure: C) -> impl Future<Output = Result<Response<S>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F,
        F: Future<Output = Result<Response<S>, Status>>,
        S: BoxedStream,
    {
        future::respond_boxed_stream(start_unboxed(closure))
    }
}

impl<T: 'static> Unboxed<Result<Response<BoxStream<T>>, Status>> {
    /// Like [`respond_boxed_stream`](Self::respond_boxed_stream), where only the return type shows
    /// that the response is a boxed stream.
    pub fn __respond<C, F>(self, closure: C) -> impl Future<Output = Result<Response<BoxStream<T>>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F,
        F: Future<Output = Result<Response<BoxStream<T>>, Status>>,
    {
        self.respond_boxed_stream(closure)
    }
}
