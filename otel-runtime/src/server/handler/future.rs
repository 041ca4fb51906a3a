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

/// The result of polling a handler.
type PolledHandler<T> = Poll<Result<Response<T>, Status>>;

/// Finishes a poll of a handler.
pub(super) trait Finish<T> {
    type Message;

    /// Whether the response is one message, which ends the call.
    const IS_WHOLE: bool;

    // All that was polled, and not the response in it: taking it apart copies it twice, which costs
    // 50 instructions.
    fn finish(call: &mut HandlerCall, polled: PolledHandler<T>) -> PolledHandler<Self::Message>;
}

/// Returns a response of one message as it is.
pub(super) struct WithMessage;

/// Hands the call over to the response stream.
pub(super) struct WithStream;

/// Hands the call over to the response stream, and boxes that again.
pub(super) struct WithBoxedStream;

impl<T> Finish<T> for WithMessage {
    type Message = T;

    const IS_WHOLE: bool = true;

    #[inline]
    fn finish(_: &mut HandlerCall, polled: PolledHandler<T>) -> PolledHandler<T> {
        polled
    }
}

impl<S: Stream> Finish<S> for WithStream {
    type Message = TracedStream<S>;

    const IS_WHOLE: bool = false;

    #[inline]
    fn finish(call: &mut HandlerCall, polled: PolledHandler<S>) -> PolledHandler<TracedStream<S>> {
        polled.map_ok(|response| {
            let call = call.take();
            response.map(|stream| TracedStream::new(call, stream))
        })
    }
}

impl<S: BoxedStream> Finish<S> for WithBoxedStream {
    type Message = S;

    const IS_WHOLE: bool = false;

    #[inline]
    fn finish(call: &mut HandlerCall, polled: PolledHandler<S>) -> PolledHandler<S> {
        WithStream::finish(call, polled).map_ok(|response| response.map(S::boxed))
    }
}

pin_project! {
    /// The future of a handler with its call. It is polled and dropped inside the call.
    #[must_use = "futures do nothing unless polled"]
    pub(super) struct HandlerFuture<S: Start, K> {
        call: HandlerCall,
        #[pin]
        handler: Handler<S, S::Future>,
        finish: PhantomData<fn() -> K>,
    }

    impl<S: Start, K> PinnedDrop for HandlerFuture<S, K> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if matches!(*this.handler, Handler::Running { .. }) {
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
            finish: PhantomData,
        }
    }
}

impl<S, K, T> Future for HandlerFuture<S, K>
where
    S: Start<Future: Future<Output = Result<Response<T>, Status>>>,
    K: Finish<T>,
{
    type Output = Result<Response<K::Message>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if matches!(*this.handler, Handler::Unstarted { .. })
            && let ReplacedHandler::Unstarted { start } = this.handler.as_mut().project_replace(Handler::Done)
        {
            let future = start.start(this.call);
            // Forgets the `Done`, which an assignment would drop, as below: saves 200 bytes.
            std::mem::forget(this.handler.as_mut().project_replace(Handler::Running { future }));
        }
        let mut polled = Poll::Pending;
        let attached = this.call.run_dyn(&mut || {
            // A future that is polled again after it has returned stays pending.
            if let HandlerProjection::Running { future } = this.handler.as_mut().project() {
                std::mem::forget(std::mem::replace(&mut polled, future.poll(cx)));
            }
        });
        this.call.on_polled(metadata(&polled), K::IS_WHOLE, attached);
        if polled.is_ready() {
            // Nothing is left in it: an `async` block that has returned has dropped its locals.
            this.handler.set(Handler::Done);
        }
        K::finish(this.call, polled)
    }
}

/// Returns what a call is concerned with of a handler's result, whatever its message.
fn metadata<T>(polled: &PolledHandler<T>) -> Poll<Result<&HeaderMap, &Status>> {
    match polled {
        Poll::Ready(result) => Poll::Ready(result.as_ref().map(|response| response.metadata().as_ref())),
        Poll::Pending => Poll::Pending,
    }
}
