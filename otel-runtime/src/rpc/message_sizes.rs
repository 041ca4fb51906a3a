//! Sizes of a call's messages, if they are enabled: gRPC's own metrics, and the legacy names.
//!
//! gRPC's metrics have the bytes that passed, compressed if the messages are, without the five
//! bytes of each frame's header. The legacy names are of uncompressed sizes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Buf;
use http_body::Frame;

use crate::grpc::message_frames::{MessageFrames, MessageHead};
use crate::grpc::outcome::Outcome;
use crate::grpc::side::{Direction, Side};
use crate::instrumentation::InstrumentationRef;
use crate::method::Method;
use crate::observer::Messages;

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

#[derive(Debug)]
struct Totals {
    method: Option<&'static Method>,
    /// Messages whose method is not known yet.
    buffered: Vec<(Direction, u64)>,
    /// Bytes of messages. `None` if nothing has read the request.
    received: Option<u64>,
    /// Bytes of messages. `None` if the response is not gRPC.
    sent: Option<u64>,
}

impl MessageSizes {
    /// Returns `None` if neither gRPC's own metrics nor the legacy names are enabled. `method` is
    /// `None` if it is not known yet.
    pub(super) fn new_if_enabled(
        instrumentation: &InstrumentationRef,
        method: Option<&'static Method>,
        grpc_totals: bool,
    ) -> Option<Arc<Self>> {
        let is_enabled = grpc_totals || instrumentation.instruments().legacy().is_some();
        is_enabled.then(|| {
            Arc::new(MessageSizes {
                instrumentation: instrumentation.clone(),
                grpc_totals,
                totals: Mutex::new(Totals {
                    method,
                    buffered: Vec::new(),
                    received: None,
                    sent: Some(0),
                }),
            })
        })
    }

    /// Records that a response is not gRPC, so that it has no messages.
    pub(super) fn on_other_response(&self, direction: Direction) {
        if direction == Direction::Sent {
            self.totals().sent = None;
        }
    }

    fn on_bytes(&self, direction: Direction, bytes: u64) {
        let mut totals = self.totals();
        let total = match direction {
            Direction::Received => &mut totals.received,
            Direction::Sent => &mut totals.sent,
        };
        *total = Some(total.unwrap_or(0) + bytes);
    }

    /// Records the size of a message by its legacy name, if its uncompressed size is known.
    fn on_message(&self, direction: Direction, head: MessageHead) {
        let Some(legacy) = self.instrumentation.instruments().legacy() else {
            return;
        };
        if head.flag != 0 {
            return;
        }
        let mut totals = self.totals();
        let size = u64::from(head.size);
        if let Some(method) = totals.method {
            legacy.record_size(method.side(), method.name(), direction, size);
        } else if totals.buffered.len() < MAX_BUFFERED {
            totals.buffered.push((direction, size));
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
            let Totals { received, sent, .. } = *self.totals();
            // A client that got no response has received nothing.
            let received = match method.side() {
                Side::Server => received,
                Side::Client => received.or(Some(0)),
            };
            self.instrumentation.instruments().record_message_sizes(
                method.side(),
                method.grpc_attributes(),
                outcome,
                received,
                sent,
            );
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
    /// `None` if sizes are of no interest.
    sizes: Option<Arc<MessageSizes>>,
    /// The messages of the call, if an observer wants to know them.
    observed: Option<Arc<Messages>>,
    direction: Direction,
}

impl BodyCounter {
    pub(crate) fn new(direction: Direction) -> Self {
        BodyCounter {
            frames: MessageFrames::default(),
            sizes: None,
            observed: None,
            direction,
        }
    }

    /// Returns a counter that also tells sizes, and an observer.
    pub(super) fn with(
        direction: Direction,
        sizes: Option<Arc<MessageSizes>>,
        observed: Option<Arc<Messages>>,
    ) -> Self {
        if let Some(observed) = &observed {
            observed.count(direction);
        }
        BodyCounter {
            sizes,
            observed,
            ..BodyCounter::new(direction)
        }
    }

    #[inline]
    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// Tells that the body cannot be counted.
    #[cold]
    pub(super) fn cancel(&self) {
        if let Some(observed) = &self.observed {
            observed.uncount(self.direction);
        }
    }

    /// Counts a frame of the body, or its end, and returns the number of messages that end in it.
    #[inline]
    pub(crate) fn on_poll<D: Buf>(&mut self, frame: Option<&Frame<D>>) -> u64 {
        if self.sizes.is_some() {
            return self.on_sized_poll(frame);
        }
        // Compiled apart, since sizes would cost each message.
        let mut messages = 0;
        if let Some(frame) = frame {
            self.frames.on_frame(frame, |_| messages += 1);
        }
        if let Some(observed) = &self.observed {
            observed.add(self.direction, messages);
        }
        messages
    }

    #[inline(never)]
    fn on_sized_poll<D: Buf>(&mut self, frame: Option<&Frame<D>>) -> u64 {
        let (sizes, direction) = (&self.sizes, self.direction);
        let mut messages = 0;
        let bytes = frame.map_or(0, |frame| {
            self.frames.on_frame(frame, |head| {
                messages += 1;
                if let Some(sizes) = sizes {
                    sizes.on_message(direction, head);
                }
            })
        });
        if let Some(sizes) = sizes {
            sizes.on_bytes(direction, bytes);
        }
        if let Some(observed) = &self.observed {
            observed.add(direction, messages);
        }
        messages
    }
}
