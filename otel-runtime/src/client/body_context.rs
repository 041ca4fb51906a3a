//! The request body of a client's call.

use std::any::Any;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use opentelemetry::Context;
use tonic::Status;
use tonic::body::Body as TonicBody;

use crate::rpc::run;

/// A frame of a request body, or its error.
type PolledFrame = Result<Frame<Bytes>, Status>;

/// Lets a request body be polled in the current context, if it is tonic's own.
///
/// tonic polls it in the task of the connection, which has no context. Spans and log records of the
/// stream that produces the messages would then belong to no trace.
///
/// The first frames are polled here, where the context is current. Those of a single message are
/// all, and entering the context later would cost its RPC 1,000 instructions.
///
/// The type of a request's body must stay as it is. Of all types only `tonic::body::Body` can hold
/// another body.
pub(super) fn poll_in_current_context(body: &mut dyn Any) {
    if let Some(body) = body.downcast_mut::<TonicBody>()
        && !body.is_end_stream()
    {
        poll_first_frames(body);
    }
}

fn poll_first_frames(body: &mut TonicBody) {
    // The connection polls again, with its own waker.
    let mut cx = TaskContext::from_waker(Waker::noop());
    let mut poll = || Pin::new(&mut *body).poll_frame(&mut cx);
    // A frame is moved as seldom as possible: it takes 96 bytes.
    match poll() {
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(data) => match poll() {
                Poll::Ready(None) => *body = TonicBody::new(Complete(Some(data))),
                Poll::Pending => poll_rest(body, [Some(Ok(Frame::data(data)))]),
                Poll::Ready(second) => poll_rest(body, [Some(Ok(Frame::data(data))), second]),
            },
            Err(frame) => poll_rest(body, [Some(Ok(frame))]),
        },
        Poll::Ready(None) => *body = TonicBody::empty(),
        Poll::Ready(error) => poll_rest(body, [error]),
        Poll::Pending => poll_rest(body, []),
    }
}

/// Lets the rest of a request body be polled in the current context, after these frames.
#[cold]
fn poll_rest<const N: usize>(body: &mut TonicBody, polled: [Option<PolledFrame>; N]) {
    *body = TonicBody::new(Streaming {
        polled,
        body: Some(std::mem::take(body)),
        context: Context::current(),
    });
}

/// A request body of one data frame.
struct Complete(Option<Bytes>);

impl Body for Complete {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// A request body that is polled in a context.
struct Streaming<const N: usize> {
    /// Frames that have been polled and not passed on. Each takes 96 bytes, and a stream that waits
    /// for its first message has none.
    polled: [Option<PolledFrame>; N],
    /// `None` once it has ended.
    body: Option<TonicBody>,
    context: Context,
}

impl<const N: usize> Body for Streaming<N> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<PolledFrame>> {
        let Streaming { polled, body, context } = &mut *self;
        if let Some(frame) = polled.iter_mut().find_map(Option::take) {
            return Poll::Ready(Some(frame));
        }
        let mut polled = Poll::Ready(None);
        run::in_client_context(context, || {
            if let Some(body) = body {
                // Forgets the `None`, which an assignment would drop.
                std::mem::forget(std::mem::replace(&mut polled, Pin::new(body).poll_frame(cx)));
            }
            if let Poll::Ready(None) = polled {
                // Inside of the context, which its drop then need not enter again.
                *body = None;
            }
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.polled.iter().all(Option::is_none) && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl<const N: usize> Drop for Streaming<N> {
    fn drop(&mut self) {
        if self.body.is_some() {
            run::in_client_context(&self.context, || self.body = None);
        }
    }
}
