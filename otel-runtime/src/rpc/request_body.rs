//! The body of a request whose messages are counted, or whose early end is watched.

use std::any::Any;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};

use super::message_sizes::BodyCounter;
use super::request_end::RequestEnd;

/// Counts the messages of a request, and watches its end, if its body is tonic's own.
///
/// The type of a request's body must stay as it is. Of all types only `tonic::body::Body` can hold
/// another body. `end` is told whether messages are counted.
pub(crate) fn wrap(
    body: &mut dyn Any,
    counter: Option<BodyCounter>,
    end: impl FnOnce(bool) -> Option<Arc<RequestEnd>>,
) {
    let Some(body) = body.downcast_mut::<tonic::body::Body>() else {
        if let Some(counter) = counter {
            counter.cancel();
        }
        return;
    };
    let end = end(counter.is_some());
    match counter {
        None => wrap_with(body, (), end),
        Some(counter) => wrap_counted(body, counter, end),
    }
}

#[cold]
fn wrap_counted(body: &mut tonic::body::Body, counter: BodyCounter, end: Option<Arc<RequestEnd>>) {
    wrap_with(body, counter, end);
}

#[inline]
fn wrap_with(body: &mut tonic::body::Body, counter: impl Count, end: Option<Arc<RequestEnd>>) {
    *body = tonic::body::Body::new(RequestBody {
        body: std::mem::take(body),
        counter,
        end,
    });
}

/// Counts the messages of a request, or does not.
///
/// A trait and not an option, for which each request would have room.
trait Count: Send + 'static {
    /// Counts a frame of the body, or its end, and returns the number of messages that end in it.
    fn on_poll<D: Buf>(&mut self, frame: Option<&Frame<D>>) -> u64;
}

impl Count for () {
    #[inline]
    fn on_poll<D: Buf>(&mut self, _: Option<&Frame<D>>) -> u64 {
        0
    }
}

impl Count for BodyCounter {
    fn on_poll<D: Buf>(&mut self, frame: Option<&Frame<D>>) -> u64 {
        BodyCounter::on_poll(self, frame)
    }
}

pin_project! {
    struct RequestBody<B, C> {
        #[pin]
        body: B,
        counter: C,
        end: Option<Arc<RequestEnd>>,
    }
}

impl<B: Body<Error = Status>, C: Count> Body for RequestBody<B, C> {
    type Data = B::Data;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, Status>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Err(error))) => {
                if let Some(end) = this.end
                    && is_transport_error(error)
                {
                    end.set_lost();
                }
            }
            Poll::Ready(frame) => {
                let messages = this
                    .counter
                    .on_poll(frame.as_ref().and_then(|frame| frame.as_ref().ok()));
                if let Some(end) = this.end
                    && messages > 0
                {
                    end.add_messages(messages);
                }
            }
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns `true` if a request broke off because its stream was reset or its connection was lost.
///
/// A layer in between may refuse a request as well, and its caller gets an answer.
#[cold]
fn is_transport_error(status: &Status) -> bool {
    // tonic-web keeps only the text of an error that it passes on.
    let passed_on = ["tonic-web: code: ", "tonic-web: status: "];
    if status.code() == Code::Cancelled || passed_on.iter().any(|prefix| status.message().starts_with(prefix)) {
        return true;
    }
    let mut sources = std::iter::successors(status.source(), |&error| error.source());
    sources.any(|error| {
        // The type of hyper's error is not in reach.
        error.is::<h2::Error>() || error.is::<std::io::Error>() || format!("{error:?}").starts_with("hyper::Error(")
    })
}
