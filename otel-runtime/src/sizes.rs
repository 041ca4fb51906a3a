//! The sizes of an RPC's messages, for those who ask for them: gRPC's own metrics of them, and the conventions' old ones.
//!
//! A size is that of the message as it stands in its frame, so compressed where it is, without the frame's own five bytes.

use std::any::Any;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::instrumentation::Chosen;
use crate::method::Method;
use crate::status::Outcome;

/// How many messages are remembered until it is known of what method they are.
const MOST_WAITING: usize = 1000;

/// Which way a message goes, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Received,
    Sent,
}

/// The messages of one RPC so far. Its two bodies count into it.
#[derive(Debug)]
pub(crate) struct Sizes {
    instrumentation: Chosen,
    /// Whether gRPC's own metrics are asked for.
    totals_are_wanted: bool,
    so_far: Mutex<SoFar>,
}

#[derive(Debug, Default)]
struct SoFar {
    method: Option<&'static Method>,
    waiting: Vec<(Direction, u64)>,
    received: u64,
    sent: u64,
}

impl Sizes {
    /// `None` where nobody asks for them.
    pub(crate) fn if_wanted(
        instrumentation: &Chosen,
        method: Option<&'static Method>,
        totals_are_wanted: bool,
    ) -> Option<Arc<Self>> {
        (totals_are_wanted || instrumentation.legacy().is_some()).then(|| {
            Arc::new(Sizes {
                instrumentation: instrumentation.again(),
                totals_are_wanted,
                so_far: Mutex::new(SoFar {
                    method,
                    ..SoFar::default()
                }),
            })
        })
    }

    /// What counts the messages of one body.
    pub(crate) fn counter(self: &Arc<Self>, direction: Direction) -> Counter {
        Counter {
            frames: Frames::default(),
            sizes: Arc::clone(self),
            direction,
        }
    }

    /// Counts the messages of a request. A body's type has to stay what it was, and of all types only tonic's own can hold another body.
    pub(crate) fn count_request(self: &Arc<Self>, body: &mut dyn Any, direction: Direction) {
        if let Some(body) = body.downcast_mut::<tonic::body::Body>() {
            *body = tonic::body::Body::new(Counted {
                body: std::mem::take(body),
                counter: self.counter(direction),
            });
        }
    }

    /// A message has been received or sent.
    fn message(&self, direction: Direction, size: u64) {
        let mut so_far = self.so_far();
        match direction {
            Direction::Received => so_far.received += size,
            Direction::Sent => so_far.sent += size,
        }
        if let Some(legacy) = self.instrumentation.legacy() {
            if let Some(method) = &so_far.method {
                legacy.record_size(method, direction, size);
            } else if so_far.waiting.len() < MOST_WAITING {
                so_far.waiting.push((direction, size));
            }
        }
    }

    /// It is known now of what method the messages are.
    pub(crate) fn are_of(&self, method: &'static Method) {
        let mut so_far = self.so_far();
        so_far.method = Some(method);
        if let Some(legacy) = self.instrumentation.legacy() {
            for (direction, size) in std::mem::take(&mut so_far.waiting) {
                legacy.record_size(method, direction, size);
            }
        }
    }

    /// The RPC has ended.
    pub(crate) fn end(&self, method: &'static Method, outcome: Outcome<'_>) {
        self.are_of(method);
        if self.totals_are_wanted {
            let so_far = self.so_far();
            self.instrumentation
                .record_total_sizes(method, outcome, so_far.received, so_far.sent);
        }
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the messages of one body as they pass.
#[derive(Debug)]
pub(crate) struct Counter {
    frames: Frames,
    sizes: Arc<Sizes>,
    direction: Direction,
}

impl Counter {
    pub(crate) fn pass<D: Buf>(&mut self, frame: &Frame<D>) {
        self.frames.pass(frame, |size| self.sizes.message(self.direction, size));
    }
}

pin_project! {
    /// A body whose messages are counted.
    struct Counted<B> {
        #[pin]
        body: B,
        counter: Counter,
    }
}

impl<B: Body> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.counter.pass(frame);
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

/// Finds the messages in a body: each is in a frame, behind a flag and four bytes of length. A frame can begin and end anywhere in the chunks that the body comes in.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; 5],
    /// How much of the head has passed.
    head_len: usize,
    /// How much of the message is still to pass.
    to_come: u64,
    is_lost: bool,
}

impl Frames {
    fn pass<D: Buf>(&mut self, frame: &Frame<D>, message: impl FnMut(u64)) {
        if let Some(data) = frame.data_ref()
            && !self.is_lost
        {
            // Data in several pieces cannot be read through without being used up.
            self.is_lost = data.chunk().len() != data.remaining();
            if !self.is_lost {
                self.pass_bytes(data.chunk(), message);
            }
        }
    }

    fn pass_bytes(&mut self, mut data: &[u8], mut message: impl FnMut(u64)) {
        while !data.is_empty() {
            if self.to_come > 0 {
                let passing = data.len().min(usize::try_from(self.to_come).unwrap_or(usize::MAX));
                self.to_come -= passing as u64;
                data = &data[passing..];
                continue;
            }
            let passing = data.len().min(self.head.len() - self.head_len);
            self.head[self.head_len..self.head_len + passing].copy_from_slice(&data[..passing]);
            self.head_len += passing;
            data = &data[passing..];
            if self.head_len == self.head.len() {
                let [_flag, length @ ..] = self.head;
                self.head_len = 0;
                self.to_come = u64::from(u32::from_be_bytes(length));
                message(self.to_come);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(chunks: &[&[u8]]) -> Vec<u64> {
        let (mut frames, mut sizes) = (Frames::default(), Vec::new());
        for chunk in chunks {
            frames.pass_bytes(chunk, |size| sizes.push(size));
        }
        sizes
    }

    const BODY: &[u8] = b"\x00\x00\x00\x00\x03abc\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00";

    #[test]
    fn messages_are_found_however_the_body_is_cut() {
        let frames = [BODY, &[0; 256]].concat();
        let expected = vec![3, 0, 256];
        assert_eq!(sizes(&[&frames]), expected);
        for cut in 0..frames.len() {
            assert_eq!(sizes(&[&frames[..cut], &frames[cut..]]), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = frames.chunks(1).collect();
        assert_eq!(sizes(&bytes), expected);
    }

    #[test]
    fn a_message_counts_when_its_length_is_known() {
        assert_eq!(sizes(&[&BODY[..4]]), [0; 0]);
        assert_eq!(sizes(&[&BODY[..5]]), vec![3]);
        assert_eq!(sizes(&[]), [0; 0]);
    }
}
