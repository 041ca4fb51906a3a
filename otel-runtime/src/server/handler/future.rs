//! The future of a handler, inside its call.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use http::HeaderMap;
use pin_project_lite::pin_project;
use tonic::{Response, Status};

use super::call::HandlerCall;
use super::start::{BoxFuture, Start, start};
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

/// A response stream without a name, as the traits that `generate_default_stubs` makes return them.
pub(super) type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

impl<S: Stream> ResponseKind<Result<Response<S>, Status>> {
    /// Runs a handler whose response is a stream of a named type.
    #[allow(clippy::unused_self)]
    pub fn respond_stream<'a, C, F>(self, closure: C) -> BoxFuture<'a, Result<Response<TracedStream<S>>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future<Output = Result<Response<S>, Status>> + Send + 'a,
        S: 'a,
    {
        Box::pin(HandlerFuture::<_, WithStream>::new(start(closure)))
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
        Box::pin(HandlerFuture::<_, WithMessage>::new(start(closure)))
    }
}

/// A response stream type that stays as it is written: a boxed stream.
#[diagnostic::on_unimplemented(
    message = "`boxed_streams` expects boxed response streams, found `{Self}`",
    label = "expected `Pin<Box<dyn Stream<Item = Result<T, tonic::Status>> + Send>>`"
)]
pub trait BoxedStream: Stream + Sized + Send {
    /// Boxes the traced stream.
    fn boxed(traced: TracedStream<Self>) -> Self;
}

impl<T: 'static> BoxedStream for BoxStream<T> {
    fn boxed(traced: TracedStream<Self>) -> Self {
        Box::pin(traced)
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
        Box::pin(HandlerFuture::<_, WithBoxedStream>::new(start(closure)))
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

/// The response is one message, which ends the call.
pub(super) struct WithMessage;

/// The response is a stream, which the call is handed over to.
pub(super) struct WithStream;

/// The response is a boxed stream: like [`WithStream`], and the traced stream is boxed again.
pub(super) struct WithBoxedStream;

pin_project! {
    /// The future of a handler with its call. It is polled and dropped inside the call.
    ///
    /// `K` is the kind of its response: [`WithMessage`] or one of the others.
    #[must_use = "futures do nothing unless polled"]
    pub(super) struct HandlerFuture<S: Start, K> {
        // None before the first poll, and after the handler has returned.
        call: HandlerCall,
        #[pin]
        handler: Handler<S, S::Future>,
        kind: PhantomData<fn() -> K>,
    }

    impl<S: Start, K> PinnedDrop for HandlerFuture<S, K> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !matches!(this.call, HandlerCall::None) {
                this.call.run_dyn(&mut || this.handler.set(Handler::Done));
            }
        }
    }
}

pin_project! {
    #[project = HandlerProjection]
    #[project_replace = ReplacedHandler]
    enum Handler<S, F> {
        Unstarted { start: S },
        Running { #[pin] future: F },
        Done,
    }
}

impl<S: Start, K> HandlerFuture<S, K> {
    pub(super) fn new(start: S) -> Self {
        HandlerFuture {
            call: HandlerCall::None,
            handler: Handler::Unstarted { start },
            kind: PhantomData,
        }
    }
}

impl<S, K, T> HandlerFuture<S, K>
where
    S: Start<Future: Future<Output = Result<Response<T>, Status>>>,
{
    /// Polls the handler inside its call, which the first poll starts.
    ///
    /// Once the handler has returned, the call has ended or is in a stream of responses.
    ///
    /// Writes to `polled`, and returns nothing: a response that is returned is copied.
    #[inline]
    fn poll_handler(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        is_whole: bool,
        polled: &mut Poll<Result<Response<T>, Status>>,
    ) {
        let mut this = self.project();
        if matches!(*this.handler, Handler::Unstarted { .. })
            && let ReplacedHandler::Unstarted { start } = this.handler.as_mut().project_replace(Handler::Done)
        {
            let future = start.start(this.call);
            // Forgets the `Done`, which an assignment would drop, as below: saves 200 bytes.
            std::mem::forget(this.handler.as_mut().project_replace(Handler::Running { future }));
        }
        this.call.run_dyn(&mut || {
            if let HandlerProjection::Running { future } = this.handler.as_mut().project() {
                std::mem::forget(std::mem::replace(polled, future.poll(cx)));
            }
        });
        if let Poll::Ready(result) = polled {
            this.call.on_returned(metadata(result), is_whole);
        }
    }
}

// An implementation for each kind, and not a function of a trait: that returns `polled` by another
// copy, which costs 26 instructions and 100 bytes of code for each method.

impl<S, T> Future for HandlerFuture<S, WithMessage>
where
    S: Start<Future: Future<Output = Result<Response<T>, Status>>>,
{
    type Output = Result<Response<T>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut polled = Poll::Pending;
        self.poll_handler(cx, true, &mut polled);
        polled
    }
}

impl<S, T> Future for HandlerFuture<S, WithStream>
where
    S: Start<Future: Future<Output = Result<Response<T>, Status>>>,
    T: Stream,
{
    type Output = Result<Response<TracedStream<T>>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut polled = Poll::Pending;
        self.as_mut().poll_handler(cx, false, &mut polled);
        polled.map_ok(|response| {
            let call = self.project().call.take();
            response.map(|stream| TracedStream::new(call, stream))
        })
    }
}

impl<S, T> Future for HandlerFuture<S, WithBoxedStream>
where
    S: Start<Future: Future<Output = Result<Response<T>, Status>>>,
    T: BoxedStream,
{
    type Output = Result<Response<T>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut polled = Poll::Pending;
        self.as_mut().poll_handler(cx, false, &mut polled);
        polled.map_ok(|response| {
            let call = self.project().call.take();
            response.map(|stream| T::boxed(TracedStream::new(call, stream)))
        })
    }
}

/// Returns what a call is concerned with of a handler's result, whatever its message.
fn metadata<T>(result: &Result<Response<T>, Status>) -> Result<&HeaderMap, &Status> {
    result.as_ref().map(|response| response.metadata().as_ref())
}
