//! The body of a request whose messages are counted, or whose early end is watched.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};

use super::message_sizes::BodyCounter;
use crate::grpc::side::Direction;
use crate::metrics::message_counts::MethodCounts;

/// Whether the body of a request broke off, and the number of its messages, if they are counted.
/// Shared by the body and the call.
///
/// tonic hides it from a handler: a reset stream looks like one that has ended.
#[derive(Debug, Default)]
pub(crate) struct RequestEnd {
    is_lost: AtomicBool,
    /// Number of messages plus one, or zero if they are not counted.
    messages: AtomicU64,
    /// The part of `messages` that is not in `counts` yet.
    uncounted: AtomicU64,
    counts: OnceLock<(Arc<MethodCounts>, Direction)>,
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
            *end.messages.get_mut() = 0;
            *end.uncounted.get_mut() = 0;
            end.counts.take();
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

    /// Counts no further messages: the request belongs to another call, whose body counts them.
    #[cold]
    pub(super) fn stop_counting(&self) {
        self.messages.store(0, Ordering::Relaxed);
    }

    fn add_messages(&self, messages: u64) {
        if self.messages.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.messages.fetch_add(messages, Ordering::Relaxed);
        if let Some((counts, direction)) = self.counts.get() {
            counts.add_messages(*direction, messages);
        } else {
            self.uncounted.fetch_add(messages, Ordering::SeqCst);
            // The method may have become known meanwhile.
            self.count();
        }
    }

    /// Adds the messages to those of their method.
    pub(super) fn set_counts(&self, counts: Arc<MethodCounts>, direction: Direction) {
        let _ = self.counts.set((counts, direction));
        self.count();
    }

    fn count(&self) {
        if let Some((counts, direction)) = self.counts.get() {
            counts.add_messages(*direction, self.uncounted.swap(0, Ordering::SeqCst));
        }
    }

    /// Returns the number of messages so far, if they are counted.
    pub(super) fn messages(&self) -> Option<u64> {
        self.messages.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// Counts the messages of a request, and watches its end, if its body is tonic's own.
///
/// The type of a request's body must stay as it is. Of all types only `tonic::body::Body` can hold
/// another body. Returns `false` if the body has another type.
pub(crate) fn wrap(
    body: &mut dyn Any,
    counter: Option<Box<BodyCounter>>,
    end: impl FnOnce() -> Option<Arc<RequestEnd>>,
) -> bool {
    let Some(body) = body.downcast_mut::<tonic::body::Body>() else {
        if let Some(counter) = counter {
            counter.cancel();
        }
        return false;
    };
    let end = end();
    if let (Some(_), Some(end)) = (&counter, &end) {
        end.messages.store(1, Ordering::Relaxed);
    }
    *body = tonic::body::Body::new(RequestBody {
        body: std::mem::take(body),
        counter,
        end,
    });
    true
}

pin_project! {
    struct RequestBody<B> {
        #[pin]
        body: B,
        // In a box, since most requests are not counted.
        counter: Option<Box<BodyCounter>>,
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
                if let Some(counter) = this.counter {
                    let messages = counter.on_poll(frame.as_ref().and_then(|frame| frame.as_ref().ok()));
                    if let Some(end) = this.end {
                        end.add_messages(messages);
                    }
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
