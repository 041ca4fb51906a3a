//! The response stream of an RPC.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;
use tonic::Status;

use super::call::HandlerCall;
use crate::guard::CaughtPanic;

pin_project! {
    /// A response stream that carries its RPC to the end.
    ///
    /// [`#[traced_service]`](crate::traced_service) writes it around the response stream types of a service: `type ChatStream = X;` becomes
    /// `type ChatStream = TracedStream<X>;`. Handlers go on returning an `X`. The name is met where a handler is called directly, in a unit test for example;
    /// it yields what `X` yields.
    ///
    /// The RPC's context is current whenever `X` is polled or dropped. The RPC ends
    ///
    /// * with `OK` when the stream ends, or when it is dropped after its last item (its [`size_hint`](Stream::size_hint) says that nothing is left),
    /// * with the status of its first error,
    /// * with `DEADLINE_EXCEEDED` or `CANCELLED` when it is dropped before that, depending on whether the request's `grpc-timeout` has passed,
    /// * with `UNKNOWN` and `error.type` = `panic` when it panics.
    ///
    /// # Example
    ///
    /// ```
    /// use otel_runtime::traced_service;
    /// use tokio_stream::{Iter, StreamExt};
    /// use tonic::{Request, Response, Status};
    ///
    /// // In real life tonic generates it.
    /// #[tonic::async_trait]
    /// trait Countdown {
    ///     type CountStream;
    ///     async fn count(&self, from: Request<u32>) -> Result<Response<Self::CountStream>, Status>;
    /// }
    ///
    /// struct MyCountdown;
    ///
    /// #[traced_service]
    /// #[tonic::async_trait]
    /// impl Countdown for MyCountdown {
    ///     type CountStream = Iter<std::vec::IntoIter<Result<u32, Status>>>;
    ///
    ///     async fn count(&self, from: Request<u32>) -> Result<Response<Self::CountStream>, Status> {
    ///         let numbers = (0..from.into_inner()).rev().map(Ok).collect::<Vec<_>>();
    ///         Ok(Response::new(tokio_stream::iter(numbers)))
    ///     }
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Status> {
    /// let mut numbers = MyCountdown.count(Request::new(2)).await?.into_inner();
    /// assert_eq!(numbers.next().await.transpose()?, Some(1));
    /// assert_eq!(numbers.next().await.transpose()?, Some(0));
    /// assert_eq!(numbers.next().await.transpose()?, None);
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct TracedStream<S> {
        // Empty only while it is being dropped.
        #[pin]
        stream: Option<S>,
        call: HandlerCall,
        // A pointer, because dropping asks too, and a type that is dropped cannot ask for more than the type itself does.
        is_exhausted: fn(&S) -> bool,
    }

    impl<S> PinnedDrop for TracedStream<S> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !this.call.has_ended() && this.stream.as_ref().as_pin_ref().is_some_and(|stream| (this.is_exhausted)(&stream)) {
                this.call.on_stream_end(None);
            }
            this.call.run_dyn(&mut || this.stream.set(None));
        }
    }
}

/// Not everyone polls once more after the last item. A stream's hint is asked for by us alone, so what goes wrong in there is nobody else's matter.
fn is_exhausted<S: Stream>(stream: &S) -> bool {
    CaughtPanic::catch(|| stream.size_hint()).is_ok_and(|left| left == (0, Some(0)))
}

/// The stream type that the service's author wrote, of the type that it was wrapped in.
pub type Untraced<S> = <S as Traced>::Stream;

/// [`Untraced`], as a trait: the wrapped type is only known as `Self::ChatStream`.
pub trait Traced {
    /// What is wrapped.
    type Stream;
}

impl<S> Traced for TracedStream<S> {
    type Stream = S;
}

impl<S> TracedStream<S> {
    pub(super) fn new(call: HandlerCall, stream: S) -> Self
    where
        S: Stream,
    {
        TracedStream {
            stream: Some(stream),
            call,
            is_exhausted: is_exhausted::<S>,
        }
    }
}

impl<T, S> Stream for TracedStream<S>
where
    S: Stream<Item = Result<T, Status>>,
{
    type Item = Result<T, Status>;

    // Always inlined into tonic's encode loop: saves 13 of 52 instructions per message.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let Some(stream) = this.stream.as_pin_mut() else {
            return Poll::Pending;
        };
        if this.call.is_owned() {
            return poll_inside(this.call, stream, cx);
        }
        // The layer's body has already attached the context for this poll.
        let polled = stream.poll_next(cx);
        match &polled {
            Poll::Ready(None) => this.call.on_stream_end(None),
            Poll::Ready(Some(Err(status))) => this.call.on_stream_end(Some(status)),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, None), Stream::size_hint)
    }
}

/// Polls a stream inside the handler's own RPC. Not part of `poll_next`, so that what is left there is little.
#[inline(never)]
fn poll_inside<T, S>(call: &mut HandlerCall, mut stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<Option<S::Item>>
where
    S: Stream<Item = Result<T, Status>>,
{
    let polled = call.run(|| stream.as_mut().poll_next(cx));
    match &polled {
        Poll::Ready(None) => call.on_stream_end(None),
        Poll::Ready(Some(Err(status))) => call.on_stream_end(Some(status)),
        Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
    }
    polled
}
