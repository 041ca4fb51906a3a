//! The future of a handler, inside its call.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use http::HeaderMap;
use pin_project_lite::pin_project;
use tonic::{Response, Status};

use super::call::HandlerCall;
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

/// The future that a method returns once `#[async_trait]` has rewritten it.
///
/// The runtime boxes it, and not each method: the compiler then proves only once that it is a
/// `Send` future, and a service of 100 methods compiles in 5 % less time.
type BoxFuture<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// A response stream without a name, as the traits that `generate_default_stubs` makes return them.
type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

impl<S: Stream> ResponseKind<Result<Response<S>, Status>> {
    /// Runs a handler whose response is a stream of a named type.
    #[allow(clippy::unused_self)]
    pub fn respond_stream<'a, C, F>(self, start: C) -> BoxFuture<'a, Result<Response<TracedStream<S>>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future<Output = Result<Response<S>, Status>> + Send + 'a,
    {
        Box::pin(HandlerFuture::new(
            start,
            |call: &mut HandlerCall, response: Response<S>| {
                let call = call.take();
                response.map(|stream| TracedStream::new(call, stream))
            },
        ))
    }
}

/// Runs a handler whose response is one message.
///
/// A trait, because the inherent method of the same name, which is for boxed streams, takes
/// precedence over it.
pub trait RespondUnary {
    /// The handler's return type.
    type Output;

    /// Runs the handler that `start` makes, inside the call that it starts. It is called at the
    /// first poll, so that the call starts in the context that the future is polled in.
    fn respond<'a, C, F>(self, start: C) -> BoxFuture<'a, Self::Output>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future<Output = Self::Output> + Send + 'a;
}

impl<T> RespondUnary for ResponseKind<Result<Response<T>, Status>> {
    type Output = Result<Response<T>, Status>;

    fn respond<'a, C, F>(self, start: C) -> BoxFuture<'a, Self::Output>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future<Output = Self::Output> + Send + 'a,
    {
        Box::pin(HandlerFuture::new(
            start,
            |call: &mut HandlerCall, response: Response<T>| {
                call.finish_ok();
                response
            },
        ))
    }
}

impl<T: 'static> ResponseKind<Result<Response<BoxStream<T>>, Status>> {
    /// Runs a handler whose response is a boxed stream, and boxes the traced stream again.
    #[allow(clippy::unused_self)]
    pub fn respond<'a, C, F>(self, start: C) -> BoxFuture<'a, Result<Response<BoxStream<T>>, Status>>
    where
        C: FnOnce(&mut HandlerCall) -> F + Send + 'a,
        F: Future<Output = Result<Response<BoxStream<T>>, Status>> + Send + 'a,
    {
        Box::pin(HandlerFuture::new(
            start,
            |call: &mut HandlerCall, response: Response<BoxStream<T>>| {
                let call = call.take();
                response.map(|stream| Box::pin(TracedStream::new(call, stream)) as BoxStream<T>)
            },
        ))
    }
}

/// The handler's own future.
///
/// An unoptimized build copies a future wherever it moves, each time into a stack slot of its own,
/// and a future may be as large as all the locals of the handler. So debug builds box it at once,
/// and release builds, which construct it in place, save that allocation.
#[cfg(debug_assertions)]
type Handler<F> = Pin<Box<F>>;
#[cfg(not(debug_assertions))]
type Handler<F> = F;

/// Starts the call, and makes the handler's future.
#[cfg(debug_assertions)]
fn start_handler<C, F>(start: C, call: &mut HandlerCall) -> Handler<F>
where
    C: FnOnce(&mut HandlerCall) -> F,
{
    Box::pin(start(call))
}

/// Starts the call, and makes the handler's future.
#[cfg(not(debug_assertions))]
#[inline]
fn start_handler<C, F>(start: C, call: &mut HandlerCall) -> Handler<F>
where
    C: FnOnce(&mut HandlerCall) -> F,
{
    start(call)
}

pin_project! {
    /// The future of a handler with its call. It is polled and dropped inside the call.
    #[must_use = "futures do nothing unless polled"]
    struct HandlerFuture<C, F, K> {
        call: HandlerCall,
        #[pin]
        handler: State<C, Handler<F>>,
        // Ends the call, or hands it over to the response stream.
        finish: K,
    }

    impl<C, F, K> PinnedDrop for HandlerFuture<C, F, K> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if matches!(*this.handler, State::Running { .. }) {
                this.call.run_dyn(&mut || this.handler.set(State::Done));
            }
        }
    }
}

pin_project! {
    #[project = StateProjection]
    #[project_replace = ReplacedState]
    enum State<C, F> {
        // Starts the call, and makes the handler's future.
        Unstarted { start: C },
        Running { #[pin] handler: F },
        Done,
    }
}

impl<C, F, K> HandlerFuture<C, F, K> {
    fn new(start: C, finish: K) -> Self {
        HandlerFuture {
            call: HandlerCall::None,
            handler: State::Unstarted { start },
            finish,
        }
    }
}

impl<C, F, K, T, U> Future for HandlerFuture<C, F, K>
where
    C: FnOnce(&mut HandlerCall) -> F,
    F: Future<Output = Result<Response<T>, Status>>,
    K: Fn(&mut HandlerCall, Response<T>) -> Response<U>,
{
    type Output = Result<Response<U>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if matches!(*this.handler, State::Unstarted { .. })
            && let ReplacedState::Unstarted { start } = this.handler.as_mut().project_replace(State::Done)
        {
            let handler = start_handler(start, this.call);
            this.handler.set(State::Running { handler });
        }
        let mut polled = Poll::Pending;
        this.call.run_dyn(&mut || {
            // A future that is polled again after it has returned stays pending.
            if let StateProjection::Running { handler } = this.handler.as_mut().project() {
                polled = handler.poll(cx);
            }
        });
        let result = ready!(polled);
        this.call.on_response(metadata(&result));
        // Nothing is left in it: an `async` block that has returned has dropped its locals.
        this.handler.set(State::Done);
        Poll::Ready(result.map(|response| (this.finish)(this.call, response)))
    }
}

/// Returns what a call is concerned with of a handler's result, whatever its message.
fn metadata<T>(result: &Result<Response<T>, Status>) -> Result<&HeaderMap, &Status> {
    result.as_ref().map(|response| response.metadata().as_ref())
}
