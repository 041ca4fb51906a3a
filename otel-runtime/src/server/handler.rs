//! The future of a handler.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll, ready};

use futures_core::Stream;
use opentelemetry::KeyValue;
use pin_project_lite::pin_project;
use tonic::{Response, Status};

use super::slot::Slot;
use super::stream::TracedStream;

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
    /// Empty inside another RPC's handler, whose call it is.
    call: Slot,
    returns: PhantomData<fn() -> R>,
}

impl<R> TypedCall<R> {
    pub(super) fn new(call: Slot) -> Self {
        TypedCall {
            call,
            returns: PhantomData,
        }
    }

    /// Adds attributes to the span, if it records.
    pub fn with_attributes<const N: usize>(self, attributes: impl FnOnce() -> [Option<KeyValue>; N]) -> Self {
        self.call.set_attributes(|| attributes().into_iter().flatten());
        self
    }

    /// Runs the handler of an RPC whose response is a stream.
    pub fn respond_stream<F>(self, handler: F) -> StreamHandler<F>
    where
        F: Future<Output = R>,
    {
        StreamHandler {
            handler: Handler::new(self.call, handler),
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
        Handler::new(self.call, handler)
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
        // Empty once it has nothing left to run.
        #[pin]
        future: Option<F>,
        call: Slot,
    }

    impl<F> PinnedDrop for Handler<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.call.run(&mut || this.future.set(None));
            }
        }
    }
}

impl<F> Handler<F> {
    fn new(call: Slot, future: F) -> Self {
        Handler {
            future: Some(future),
            call,
        }
    }

    /// Polls the handler inside its RPC.
    fn poll_in_call<T>(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut this = self.project();
        let mut polled = Poll::Pending;
        this.call.run(&mut || {
            // Nobody polls a future again that has returned; if somebody does, it stays pending.
            if let Some(future) = this.future.as_mut().as_pin_mut() {
                polled = future.poll(cx);
            }
        });
        if let Poll::Ready(result) = &polled {
            this.call
                .returned(result.as_ref().map(|response| response.metadata().as_ref()));
            this.future.set(None);
        }
        polled
    }
}

impl<T, F> Future for Handler<F>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let result = ready!(self.as_mut().poll_in_call(cx));
        // A failure has ended it already.
        self.project().call.succeed();
        Poll::Ready(result)
    }
}

pin_project! {
    /// The future of a handler whose RPC ends with its response stream.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct StreamHandler<F> {
        #[pin]
        handler: Handler<F>,
    }
}

impl<S, F> Future for StreamHandler<F>
where
    S: Stream,
    F: Future<Output = Result<Response<S>, Status>>,
{
    type Output = Result<Response<TracedStream<S>>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut handler = self.project().handler;
        let response = ready!(handler.as_mut().poll_in_call(cx))?;
        let call = handler.project().call.leave();
        Poll::Ready(Ok(response.map(|stream| TracedStream::new(call, stream))))
    }
}
