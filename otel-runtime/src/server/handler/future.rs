//! The future of a handler, inside its call.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_core::Stream;
use http::HeaderMap;
use pin_project_lite::pin_project;
use tonic::{Response, Status};

use super::boxed_stream::BoxedStream;
use super::call::HandlerCall;
use super::closure::Start;
use super::stream::TracedStream;

/// Runs a handler whose response is one message, which ends the call.
#[inline]
pub(super) async fn respond<S, T>(start: S) -> Result<Response<T>, Status>
where
    S: Start<Future: Future<Output = Result<Response<T>, Status>>>,
{
    InCall::start(start, true).await
}

/// Runs a handler whose response is a stream, which the call is handed over to.
#[inline]
pub(super) async fn respond_stream<S, T>(start: S) -> Result<Response<TracedStream<T>>, Status>
where
    S: Start<Future: Future<Output = Result<Response<T>, Status>>>,
    T: Stream,
{
    let mut handler = pin!(InCall::start(start, false));
    let response = handler.as_mut().await?;
    let call = handler.project().call.take();
    Ok(response.map(|stream| TracedStream::new(call, stream)))
}

/// Runs a handler whose response is a boxed stream: the traced stream is boxed again.
#[inline]
pub(super) async fn respond_boxed_stream<S, T>(start: S) -> Result<Response<T>, Status>
where
    S: Start<Future: Future<Output = Result<Response<T>, Status>>>,
    T: BoxedStream,
{
    let response = respond_stream(start).await?;
    Ok(response.map(T::boxed))
}

pin_project! {
    /// The future of a handler with its call. It is polled and dropped inside the call.
    #[must_use = "futures do nothing unless polled"]
    struct InCall<F> {
        // None once the handler has returned.
        call: HandlerCall,
        // None while it is being dropped.
        #[pin]
        handler: Option<F>,
        // Whether the response is one message.
        is_whole: bool,
    }

    impl<F> PinnedDrop for InCall<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !matches!(this.call, HandlerCall::None) {
                this.call.run_dyn(&mut || this.handler.set(None));
            }
        }
    }
}

impl<F> InCall<F> {
    #[inline]
    fn start(start: impl Start<Future = F>, is_whole: bool) -> Self {
        let mut call = HandlerCall::None;
        let handler = Some(start.start(&mut call));
        InCall {
            call,
            handler,
            is_whole,
        }
    }
}

impl<F, T> Future for InCall<F>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    type Output = Result<Response<T>, Status>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut polled = Poll::Pending;
        let attached = this.call.run_dyn(&mut || {
            if let Some(handler) = this.handler.as_mut().as_pin_mut() {
                std::mem::forget(std::mem::replace(&mut polled, handler.poll(cx)));
            }
        });
        this.call.on_polled(metadata(&polled), *this.is_whole, attached);
        polled
    }
}

/// Returns what a call is concerned with of a handler's result, whatever its message.
fn metadata<T>(polled: &Poll<Result<Response<T>, Status>>) -> Poll<Result<&HeaderMap, &Status>> {
    match polled {
        Poll::Ready(result) => Poll::Ready(result.as_ref().map(|response| response.metadata().as_ref())),
        Poll::Pending => Poll::Pending,
    }
}
