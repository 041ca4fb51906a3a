//! Sizes of a call's messages, if they are enabled: gRPC's own metrics, and the legacy names.
//!
//! The size of a message is that in its frame: compressed if the message is, without the five bytes
//! of the frame's header.

use std::any::Any;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::grpc::message_frames::MessageFrames;
use crate::grpc::outcome::Outcome;
use crate::grpc::side::Direction;
use crate::instrumentation::InstrumentationRef;
use crate::method::Method;
use crate::semconv;

/// Number of messages that are buffered until their method is known.
const MAX_BUFFERED: usize = 1000;

/// The messages of one call so far, counted by the bodies of its request and its response.
#[derive(Debug)]
pub(crate) struct MessageSizes {
    instrumentation: InstrumentationRef,
    /// Whether gRPC's own metrics are enabled.
    grpc_totals: bool,
    totals: Mutex<Totals>,
}

#[derive(Debug, Default)]
struct Totals {
    method: Option<&'static Method>,
    /// Messages whose method is not known yet.
    buffered: Vec<(Direction, u64)>,
    received: u64,
    sent: u64,
}

impl MessageSizes {
    /// Returns `None` if neither gRPC's own metrics nor the legacy names are enabled.
    pub(crate) fn new_if_enabled(
        instrumentation: &InstrumentationRef,
        method: Option<&'static Method>,
        grpc_totals: bool,
    ) -> Option<Arc<Self>> {
        (grpc_totals || instrumentation.instruments().legacy().is_some()).then(|| {
            Arc::new(MessageSizes {
                instrumentation: instrumentation.clone(),
                grpc_totals,
                totals: Mutex::new(Totals {
                    method,
                    ..Totals::default()
                }),
            })
        })
    }

    /// Returns a counter for the messages of one body.
    pub(crate) fn counter(self: &Arc<Self>, direction: Direction) -> BodyCounter {
        BodyCounter {
            frames: MessageFrames::default(),
            sizes: Arc::clone(self),
            direction,
        }
    }

    /// Counts the messages of a request, if its body is tonic's own.
    ///
    /// The type of a request's body must stay as it is. Of all types only `tonic::body::Body` can
    /// hold another body.
    pub(crate) fn count_request(self: &Arc<Self>, body: &mut dyn Any, direction: Direction) {
        if let Some(body) = body.downcast_mut::<tonic::body::Body>() {
            *body = tonic::body::Body::new(CountingBody {
                body: std::mem::take(body),
                counter: self.counter(direction),
            });
        }
    }

    fn on_message(&self, direction: Direction, size: u64) {
        let mut totals = self.totals();
        match direction {
            Direction::Received => totals.received += size,
            Direction::Sent => totals.sent += size,
        }
        if let Some(legacy) = self.instrumentation.instruments().legacy() {
            if let Some(method) = totals.method {
                legacy.record_size(method.side(), method.name(), direction, size);
            } else if totals.buffered.len() < MAX_BUFFERED {
                totals.buffered.push((direction, size));
            }
        }
    }

    /// Sets the method, and records the sizes that were buffered until now.
    pub(crate) fn set_method(&self, method: &'static Method) {
        let mut totals = self.totals();
        totals.method = Some(method);
        if let Some(legacy) = self.instrumentation.instruments().legacy() {
            for (direction, size) in std::mem::take(&mut totals.buffered) {
                legacy.record_size(method.side(), method.name(), direction, size);
            }
        }
    }

    /// Records the totals of a call that has ended.
    pub(crate) fn end(&self, method: &'static Method, outcome: Outcome<'_>) {
        self.set_method(method);
        if self.grpc_totals {
            let grpc_method = if method.is_other() {
                semconv::GRPC_OTHER
            } else {
                method.name()
            };
            let Totals { received, sent, .. } = *self.totals();
            self.instrumentation
                .instruments()
                .record_message_sizes(grpc_method, outcome, received, sent);
        }
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the messages of one body as its frames pass.
#[derive(Debug)]
pub(crate) struct BodyCounter {
    frames: MessageFrames,
    sizes: Arc<MessageSizes>,
    direction: Direction,
}

impl BodyCounter {
    pub(crate) fn on_frame<D: Buf>(&mut self, frame: &Frame<D>) {
        self.frames
            .on_frame(frame, |size| self.sizes.on_message(self.direction, size));
    }
}

pin_project! {
    /// A request body whose messages are counted.
    struct CountingBody<B> {
        #[pin]
        body: B,
        counter: BodyCounter,
    }
}

impl<B: Body> Body for CountingBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.counter.on_frame(frame);
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
