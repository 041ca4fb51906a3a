//! Sizes of a call's messages, if they are enabled: gRPC's own metrics, and the legacy names.
//!
//! gRPC's metrics have the bytes that passed, compressed if the messages are, without the five
//! bytes of each frame's header. The legacy names are of uncompressed sizes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Buf;
use http::HeaderMap;
use http_body::Frame;

use crate::grpc::content_type::is_grpc;
use crate::grpc::message_frames::{MessageFrames, MessageHead};
use crate::grpc::outcome::Outcome;
use crate::grpc::side::Direction;
use crate::instrumentation::InstrumentationRef;
use crate::method::Method;
use crate::semconv;

/// Number of messages that are buffered until their method is known.
const MAX_BUFFERED: usize = 1000;

/// The messages of one call so far, which the bodies of its request and its response count.
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
    received: Messages,
    sent: Messages,
}

/// The messages of one direction.
#[derive(Debug, Default)]
struct Messages {
    frames: MessageFrames,
    /// `None` if nothing has read the request, or if the response is not gRPC.
    bytes: Option<u64>,
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
                    buffered: Vec::new(),
                    received: Messages::default(),
                    sent: Messages {
                        bytes: Some(0),
                        ..Messages::default()
                    },
                }),
            })
        })
    }

    /// Returns `true` if the messages of a response are to be counted: it is gRPC.
    pub(crate) fn counts_response(&self, direction: Direction, headers: &HeaderMap) -> bool {
        let is_grpc = is_grpc(headers);
        if !is_grpc && direction == Direction::Sent {
            self.totals().sent.bytes = None;
        }
        is_grpc
    }

    /// Counts a frame of the body of this direction, or its end.
    pub(crate) fn on_poll<D: Buf>(&self, direction: Direction, frame: Option<&Frame<D>>) {
        let mut totals = self.totals();
        let Totals {
            method,
            buffered,
            received,
            sent,
        } = &mut *totals;
        let messages = match direction {
            Direction::Received => received,
            Direction::Sent => sent,
        };
        let on_message = |head| self.on_message(*method, buffered, direction, head);
        let bytes = frame.map_or(0, |frame| messages.frames.on_frame(frame, on_message));
        messages.bytes = Some(messages.bytes.unwrap_or(0) + bytes);
    }

    /// Records the size of a message by its legacy name, if its uncompressed size is known.
    fn on_message(
        &self,
        method: Option<&'static Method>,
        buffered: &mut Vec<(Direction, u64)>,
        direction: Direction,
        head: MessageHead,
    ) {
        let Some(legacy) = self.instrumentation.instruments().legacy() else {
            return;
        };
        if head.flag != 0 {
            return;
        }
        let size = u64::from(head.size);
        if let Some(method) = method {
            legacy.record_size(method.side(), method.name(), direction, size);
        } else if buffered.len() < MAX_BUFFERED {
            buffered.push((direction, size));
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
            let (received, sent) = {
                let totals = self.totals();
                (totals.received.bytes, totals.sent.bytes)
            };
            self.instrumentation
                .instruments()
                .record_message_sizes(grpc_method, outcome, received, sent);
        }
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
