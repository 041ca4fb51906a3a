//! Running a handler by the type of its response: one message, a stream, or a boxed stream.

use std::marker::PhantomData;

use futures_core::Stream;
use tonic::{Response, Status};

use super::boxed_stream::{BoxStream, BoxedStream};
use super::call::HandlerCall;
use super::closure::{BoxFuture, start};
use super::future;
use super::stream::TracedStream;

/// The return type of a gRPC method.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a valid return type for a gRPC method",
    label = "expected `Result<tonic::Response<T>, tonic::Status>`"
)]
pub trait GrpcResult: Sized {
    /// [`ResponseKind<Self>`]. Named through the trait, so that a wrong return type gives the one
    /// error above.
    type Kind: From<ResponseKind<Self>>;
}

impl<T> GrpcResult for Result<Response<T>, Status> {
    type Kind = ResponseKind<Self>;
}

/// Selects how to run a handler that returns `R`: by the type of its response, whatever alias hides
/// it.
#[derive(Debug)]
pub struct ResponseKind<R>(PhantomData<fn() -> R>);

impl<R> ResponseKind<R> {
    pub(super) fn new() -> Self {
        ResponseKind(PhantomData)
    }
}

impl<S: Stream> ResponseKind<Result<Response<S>, Status>> {
    /// Runs a handler whose response is a stream of a named type.
    #[allow(clippy::unused_self)]
    pub fn respond_stream<'a, C, F>(self, closure: C) -> BoxFuture<'a, Result<Response<TracedStream<S>>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future<Output = Result<Response<S>, Status>> + Send + 'a,
        S: 'a,
    {
        Box::pin(future::respond_stream(start(closure)))
    }
}

/// Runs a handler whose response is one message.
///
/// A trait, because the inherent method of the same name, which is for boxed streams, takes
/// precedence over it. Its name must differ from those in other traits: a blanket trait in the
/// user's scope would make the call ambiguous.
pub trait RespondUnary<T> {
    /// Runs the handler that `closure` makes, inside the call that it starts. The first poll calls
    /// it, so that the call starts in the context that the future is polled in.
    fn __respond<'a, C, F>(self, closure: C) -> BoxFuture<'a, Result<Response<T>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future<Output = Result<Response<T>, Status>> + Send + 'a,
        T: 'a;
}

impl<T> RespondUnary<T> for ResponseKind<Result<Response<T>, Status>> {
    fn __respond<'a, C, F>(self, closure: C) -> BoxFuture<'a, Result<Response<T>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future<Output = Result<Response<T>, Status>> + Send + 'a,
        T: 'a,
    {
        Box::pin(future::respond(start(closure)))
    }
}

impl<S> ResponseKind<Result<Response<S>, Status>> {
    /// Runs a handler whose response is a boxed stream, and boxes the traced stream again.
    #[allow(clippy::unused_self)]
    pub fn respond_boxed_stream<'a, C, F>(self, closure: C) -> BoxFuture<'a, Result<Response<S>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future<Output = Result<Response<S>, Status>> + Send + 'a,
        S: BoxedStream + 'a,
    {
        Box::pin(future::respond_boxed_stream(start(closure)))
    }
}

impl<T: 'static> ResponseKind<Result<Response<BoxStream<T>>, Status>> {
    /// Like [`respond_boxed_stream`](Self::respond_boxed_stream), where only the return type shows
    /// that the response is a boxed stream.
    pub fn __respond<'a, C, F>(self, closure: C) -> BoxFuture<'a, Result<Response<BoxStream<T>>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future<Output = Result<Response<BoxStream<T>>, Status>> + Send + 'a,
    {
        self.respond_boxed_stream(closure)
    }
}
