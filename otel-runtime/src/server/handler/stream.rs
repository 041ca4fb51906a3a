//! The response stream of an RPC.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;
use tonic::Status;

use super::call::HandlerCall;
use crate::guard::CaughtPanic;
use crate::rpc::active_call::ActiveCall;
use crate::rpc::run;

pin_project! {
    /// Response stream that keeps its RPC open until the stream ends.
    ///
    /// [`#[traced_service]`](crate::traced_service) wraps the response stream types of a service:
    /// `type ChatStream = X;` becomes `type ChatStream = TracedStream<X>;`. Handlers still return
    /// an `X`, and the wrapper yields the items of `X`. The type is visible only to code that names
    /// the stream type, or calls a handler directly, such as a unit test. With the argument
    /// [`boxed_streams`](crate::docs::arguments), the types stay as they are.
    ///
    /// The RPC's context is current whenever `X` is polled or dropped. The RPC ends
    ///
    /// * with `OK` when the stream ends, or when it is dropped after its last item, according to
    ///   its [`size_hint`](Stream::size_hint),
    /// * with the status of its first error,
    /// * with `DEADLINE_EXCEEDED` when it is dropped earlier, after the request's `grpc-timeout`,
    /// * with `CANCELLED` when it is dropped earlier otherwise,
    /// * with `UNKNOWN` and `error.type` = `panic` when it panics.
    ///
    /// tonic's timers end with the headers of the response, so a deadline does not end a stream: it
    /// runs on until its end, or until the caller goes.
    ///
    /// # Example
    ///
    /// ```
    /// use otel_runtime::traced_service;
    /// use tokio_stream::{Iter, StreamExt};
    /// use tonic::{Request, Response, Status};
    ///
    /// // tonic usually generates this trait.
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
        // `None` only while it is being dropped.
        #[pin]
        stream: Option<S>,
        call: HandlerCall,
        // A function pointer because `drop` calls it: `Drop` cannot require `S: Stream` if the type
        // does not.
        is_exhausted: fn(&S) -> bool,
    }

    impl<S> PinnedDrop for TracedStream<S> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !this.call.has_ended() && this.stream.as_ref().as_pin_ref().is_some_and(|stream| (this.is_exhausted)(&stream)) {
                this.call.on_exhausted();
            }
            this.call.run_dyn(&mut || this.stream.set(None));
        }
    }
}

/// Returns `true` if `size_hint` reports that no item is left.
///
/// Some callers do not poll again after the last item. A panic in `size_hint` is ignored, because
/// only this crate calls it.
fn is_exhausted<S: Stream>(stream: &S) -> bool {
    CaughtPanic::catch(|| stream.size_hint()).is_ok_and(|left| left == (0, Some(0)))
}

/// The stream type inside a [`TracedStream`], as the service's author wrote it.
pub type Untraced<S> = <S as Traced>::Stream;

/// Maps a [`TracedStream`] to its inner stream type.
///
/// Generated code needs a trait, because it knows the wrapper only as `Self::ChatStream`.
pub trait Traced {
    /// The inner stream type.
    type Stream;
}

impl<S> Traced for TracedStream<S> {
    type Stream = S;
}

impl<S> TracedStream<S> {
    /// Returns the stream that the handler returned. The RPC ends, as if the stream were dropped.
    ///
    /// For code that calls a handler directly and needs the type that the handler declared.
    ///
    /// # Panics
    ///
    /// Never: only a drop takes the stream away.
    #[must_use]
    pub fn into_inner(mut self) -> S {
        let stream = self.stream.take().expect("only a drop takes the stream away");
        if (self.is_exhausted)(&stream) {
            self.call.on_exhausted();
        }
        stream
    }

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
        if let HandlerCall::Owned(call) = this.call {
            return poll_inside(call, stream, cx);
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

/// Polls a stream inside the RPC that the handler itself started.
///
/// Never inlined, to keep `poll_next` small enough for tonic's encode loop.
#[inline(never)]
fn poll_inside<T, S>(call: &mut Option<ActiveCall>, stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<Option<S::Item>>
where
    S: Stream<Item = Result<T, Status>>,
{
    let mut polled = Poll::Pending;
    run::handler(
        call,
        &mut polled,
        // Forgets the `Pending`, which an assignment would drop.
        |polled| std::mem::forget(std::mem::replace(polled, stream.poll_next(cx))),
        |polled, call| match polled {
            Poll::Ready(None) => HandlerCall::end_owned(call, None),
            Poll::Ready(Some(Err(status))) => HandlerCall::end_owned(call, Some(status)),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        },
    );
    polled
}
