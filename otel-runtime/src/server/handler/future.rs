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
        this.call.run_dyn(&mut || {
            // A future that is polled again after it has returned stays pending.
            if let HandlerProjection::Running { future } = this.handler.as_mut().project() {
                std::mem::forget(std::mem::replace(&mut polled, future.poll(cx)));
            }
        });
        if let Poll::Ready(result) = &polled {
            this.call.on_returned(metadata(result), K::IS_WHOLE);
            // Nothing is left in it: an `async` block that has returned has dropped its locals.
            this.handler.set(Handler::Done);
        }
        K::finish(this.call, polled)
    }
}

/// Returns what a call is concerned with of a handler's result, whatever its message.
fn metadata<T>(result: &Result<Response<T>, Status>) -> Result<&HeaderMap, &Status> {
    result.as_ref().map(|response| response.metadata().as_ref())
}
