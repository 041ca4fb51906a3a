//! The body of a request whose messages are counted, or whose early end is watched.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};

use super::message_sizes::MessageSizes;
use crate::grpc::side::Direction;

/// Whether the body of a request broke off, shared by the body and the call.
///
/// tonic hides it from a handler: a reset stream looks like one that has ended.
#[derive(Debug, Default)]
pub(crate) struct RequestEnd {
    is_lost: AtomicBool,
}

/// Number of ends that a thread keeps.
const MAX_POOLED: usize = 32;

thread_local! {
    static POOL: RefCell<Vec<Arc<RequestEnd>>> = const { RefCell::new(Vec::new()) };
}

impl RequestEnd {
    /// Takes an end from the pool of this thread.
    pub(crate) fn take() -> Arc<Self> {
        let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        pooled.unwrap_or_default()
    }

    /// Puts an end back, unless a body still has it.
    pub(super) fn put_back(mut self: Arc<Self>) {
        if let Some(end) = Arc::get_mut(&mut self) {
            *end.is_lost.get_mut() = false;
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < MAX_POOLED {
                    pool.push(self);
                }
            });
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }
}

/// The counter of a request's messages, and their direction.
pub(crate) type BodyCounter = (Arc<MessageSizes>, Direction);

/// Counts the messages of a request, and watches its end, if its body is tonic's own.
///
/// The type of a request's body must stay as it is. Of all types only `tonic::body::Body` can hold
/// another body. Returns `false` if the body has another type.
pub(crate) fn wrap(
    body: &mut dyn Any,
    counter: Option<BodyCounter>,
    end: impl FnOnce() -> Option<Arc<RequestEnd>>,
) -> bool {
    let Some(body) = body.downcast_mut::<tonic::body::Body>() else {
        return false;
    };
    *body = tonic::body::Body::new(RequestBody {
        body: std::mem::take(body),
        counter,
        end: end(),
    });
    true
}

pin_project! {
    struct RequestBody<B> {
        #[pin]
        body: B,
        counter: Option<BodyCounter>,
        end: Option<Arc<RequestEnd>>,
    }
}

impl<B: Body<Error = Status>> Body for RequestBody<B> {
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
                    end.is_lost.store(true, Ordering::Relaxed);
                }
            }
            Poll::Ready(frame) => {
                if let Some((sizes, direction)) = this.counter {
                    sizes.on_poll(*direction, frame.as_ref().and_then(|frame| frame.as_ref().ok()));
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
