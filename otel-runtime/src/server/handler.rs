//! The future of a handler.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll, ready};

use futures_core::Stream;
use opentelemetry::{Context, KeyValue};
use pin_project_lite::pin_project;
use tonic::{Response, Status};

use super::call::{Call, set_attributes};
use super::in_call::InCall;
use super::stream::TracedStream;
use crate::status::Outcome;

/// What a handler returns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a gRPC method returns",
    label = "expected `Result<tonic::Response<T>, tonic::Status>`"
)]
pub trait Reply: Sized {
    /// The RPC whose handler returns this: [`TypedCall<Self>`]. Named from here, so that where `Self` is no reply the compiler says that and nothing more.
    type Call: From<TypedCall<Self>>;
}

impl<T> Reply for Result<Response<T>, Status> {
    type Call = TypedCall<Self>;
}

/// An RPC that has started, and whose handler returns `R`.
#[derive(Debug)]
#[must_use = "an RPC that is dropped is recorded as cancelled"]
pub struct TypedCall<R> {
    /// `None` inside another RPC's handler, whose call it is.
    call: Option<Call>,
    returns: PhantomData<fn() -> R>,
}

impl<R> TypedCall<R> {
    pub(super) fn new(call: Option<Call>) -> Self {
        TypedCall {
            call,
            returns: PhantomData,
        }
    }

    /// Adds attributes to the span, if it records.
    pub fn with_attributes<const N: usize>(self, attributes: impl FnOnce() -> [Option<KeyValue>; N]) -> Self {
        let attributes = || attributes().into_iter().flatten();
        match &self.call {
            Some(call) => call.set_attributes(attributes),
            None => set_attributes(&Context::current(), attributes),
        }
        self
    }

    /// Runs the handler of an RPC whose response is a stream.
    pub fn respond_stream<F>(self, handler: F) -> StreamHandler<F>
    where
        F: Future<Output = R>,
    {
        StreamHandler {
            future: InCall::new(self.call, handler),
        }
    }
}

/// A response stream without a name, as the traits that `generate_default_stubs` makes return them.
type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

/// Runs the handler of an RPC whose response is one message.
///
/// A trait, so that the inherent method of the same name, which is for boxed streams, goes before it. That way the response's type decides, whatever alias hides it.
pub trait Respond {
    /// The message.
    type Message;

    /// Runs `handler` as the RPC.
    fn respond<F>(self, handler: F) -> Handler<F>
    where
        F: Future<Output = Result<Response<Self::Message>, Status>>;
}

impl<T> Respond for TypedCall<Result<Response<T>, Status>> {
    type Message = T;

    fn respond<F>(self, handler: F) -> Handler<F>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        Handler {
            future: InCall::new(self.call, handler),
        }
    }
}

impl<T: 'static> TypedCall<Result<Response<BoxStream<T>>, Status>> {
    /// Runs the handler of an RPC whose response is a boxed stream, and boxes it again, traced.
    pub async fn respond<F>(self, handler: F) -> Result<Response<BoxStream<T>>, Status>
    where
        F: Future<Output = Result<Response<BoxStream<T>>, Status>>,
    {
        let response = self.respond_stream(handler).await?;
        Ok(response.map(|stream| Box::pin(stream) as BoxStream<T>))
    }
}

pin_project! {
    /// The future of a handler whose RPC ends with it.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Handler<F> {
        #[pin]
        future: InCall<F>,
    }
}

impl<T, F> Future for Handler<F>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let mut future = self.project().future;
        let result = ready!(future.as_mut().enter(|handler| handler.poll(cx)));
        match &result {
            Ok(response) => {
                future.as_mut().respond(response.metadata().as_ref());
                future.as_mut().end(Outcome::OK);
            }
            Err(status) => future.as_mut().fail(status),
        }
        future.finish();
        Poll::Ready(result)
    }
}

pin_project! {
    /// The future of a handler whose RPC ends with its response stream.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct StreamHandler<F> {
        #[pin]
        future: InCall<F>,
    }
}

impl<S, F> Future for StreamHandler<F>
where
    S: Stream,
    F: Future<Output = Result<Response<S>, Status>>,
{
    type Output = Result<Response<TracedStream<S>>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut future = self.project().future;
        Poll::Ready(match ready!(future.as_mut().enter(|handler| handler.poll(cx))) {
            Ok(response) => {
                future.as_mut().respond(response.metadata().as_ref());
                let call = future.leave();
                Ok(response.map(|stream| TracedStream::new(call, stream)))
            }
            Err(status) => {
                future.as_mut().fail(&status);
                future.finish();
                Err(status)
            }
        })
    }
}
