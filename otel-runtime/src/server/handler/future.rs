//! The future of a handler, inside its call.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use http::HeaderMap;
use pin_project_lite::pin_project;
use tonic::{Response, Status};

use super::boxed_stream::BoxedStream;
use super::call::HandlerCall;
use super::closure::Start;
use super::stream::TracedStream;

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
