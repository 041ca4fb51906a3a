//! Progress of reading a response, to tell how its call ended if the reader went away.

use std::fmt::Debug;

use bytes::Buf;
use http::{HeaderMap, HeaderName, StatusCode};
use http_body::Frame;
use tonic::Code;

use crate::grpc::message_frames::{MessageFrames, MessageHead};
use crate::grpc::request_headers::GRPC_ACCEPT_ENCODING;
use crate::grpc::response_status::{OwnedOutcome, status_from_http};
use crate::grpc::side::{Client, Role, Server};

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// State of a response that its reader drops before its end.
pub(crate) enum Left {
    /// The reader took nothing.
    Untaken,
    /// The reader took a part.
    Partial,
    /// The reader may have taken all but the end.
    MayBeAtEnd,
    /// The reader refused a part that it had got, with this outcome.
    Refused(OwnedOutcome),
}

/// How far a response has been read, as seen from one side.
pub(crate) trait Progress: Debug + Default {
    fn on_headers(&mut self, headers: &HeaderMap, offered: OfferedEncodings);

    /// Records that the reader waits.
    fn on_pending(&mut self);

    fn on_frame<D: Buf>(&mut self, frame: &Frame<D>);

    /// Returns what a reader leaves that drops the response now.
    fn left(&self, http_status: StatusCode) -> Left;

    /// Returns `true` if the response is gRPC, and incomplete within a message.
    fn is_inside_message(&self, http_status: StatusCode) -> bool;
}

/// The role of a side that reads, or sends, a response.
pub(crate) trait ResponseRole: Role {
    type Progress: Progress;
}

impl ResponseRole for Server {
    type Progress = Sending;
}

impl ResponseRole for Client {
    type Progress = Reading;
}

/// A server's response: whether the connection has taken anything of it.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    is_taken: bool,
}

impl Progress for Sending {
    #[inline]
    fn on_headers(&mut self, _: &HeaderMap, _: OfferedEncodings) {}

    #[inline]
    fn on_pending(&mut self) {}

    #[inline]
    fn on_frame<D: Buf>(&mut self, _: &Frame<D>) {
        self.is_taken = true;
    }

    fn left(&self, _: StatusCode) -> Left {
        if self.is_taken { Left::Partial } else { Left::Untaken }
    }

    fn is_inside_message(&self, _: StatusCode) -> bool {
        false
    }
}

/// A client's reading of a response.
///
/// tonic's reader drops a response at the first thing in it that it refuses: before it waits again.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    frames: MessageFrames,
    last_poll: LastPoll,
    /// Number of messages that ended in the last DATA frame.
    ended: u32,
    encoding: ResponseEncoding,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LastPoll {
    #[default]
    None,
    Pending,
    Data,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ResponseEncoding {
    #[default]
    Identity,
    Offered,
    NotOffered,
}

impl Progress for Reading {
    #[inline]
    fn on_headers(&mut self, headers: &HeaderMap, offered: OfferedEncodings) {
        for (name, value) in headers {
            if *name == GRPC_ENCODING {
                self.encoding = offered.classify(value.as_bytes());
            }
        }
    }

    #[inline]
    fn on_pending(&mut self) {
        self.last_poll = LastPoll::Pending;
    }

    #[inline]
    fn on_frame<D: Buf>(&mut self, frame: &Frame<D>) {
        let mut ended = 0;
        self.frames.on_frame(frame, |_| ended += 1);
        self.ended = ended;
        self.last_poll = LastPoll::Data;
    }

    fn left(&self, http_status: StatusCode) -> Left {
        if http_status != StatusCode::OK {
            return Left::Refused(status_from_http(http_status));
        }
        if self.last_poll == LastPoll::None && self.encoding == ResponseEncoding::NotOffered {
            let message = "the response has an encoding that the client did not offer";
            return Left::Refused(OwnedOutcome::new(Code::Unimplemented, message));
        }
        if self.last_poll == LastPoll::Data
            && let Some(refused) = self.refused()
        {
            return Left::Refused(refused);
        }
        Left::MayBeAtEnd
    }

    fn is_inside_message(&self, http_status: StatusCode) -> bool {
        http_status == StatusCode::OK && self.frames.is_inside_message() && self.frames.last_head().flag <= 1
    }
}

impl Reading {
    /// Returns the outcome if the reader must have refused what it was given last.
    fn refused(&self) -> Option<OwnedOutcome> {
        if self.ended + u32::from(self.frames.is_inside_message()) > 1 {
            // The reader may have taken the first of several messages, and left.
            return None;
        }
        let MessageHead { flag, size } = self.frames.last_head();
        match flag {
            0 | 1 if self.frames.is_behind_head() => {
                let message = format!("the client refused a message of {size} bytes");
                Some(OwnedOutcome::new(Code::OutOfRange, message))
            }
            1 if self.encoding == ResponseEncoding::Identity => {
                let message = "a message is compressed, and the response has no grpc-encoding";
                Some(OwnedOutcome::new(Code::Internal, message))
            }
            0 | 1 => None,
            // No gRPC message starts like this.
            _ => Some(status_from_http(StatusCode::OK)),
        }
    }
}

/// The encodings that a client accepts, of those that tonic knows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OfferedEncodings(u8);

const KNOWN_ENCODINGS: [&[u8]; 3] = [b"gzip", b"deflate", b"zstd"];
/// The bit of any other encoding.
const OTHER_ENCODING: u8 = 1 << KNOWN_ENCODINGS.len();

impl OfferedEncodings {
    /// Reads `grpc-accept-encoding` of a request.
    #[cold]
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let mut offered = OfferedEncodings::default();
        for value in headers.get_all(GRPC_ACCEPT_ENCODING) {
            offered.add(value.as_bytes());
        }
        offered
    }

    fn add(&mut self, list: &[u8]) {
        for encoding in list.split(|byte| *byte == b',') {
            self.0 |= OfferedEncodings::bit(encoding.trim_ascii());
        }
    }

    fn bit(encoding: &[u8]) -> u8 {
        match KNOWN_ENCODINGS.iter().position(|known| *known == encoding) {
            Some(index) => 1 << index,
            None if encoding == b"identity" => 0,
            None => OTHER_ENCODING,
        }
    }

    #[cold]
    fn classify(self, encoding: &[u8]) -> ResponseEncoding {
        match OfferedEncodings::bit(encoding) {
            0 => ResponseEncoding::Identity,
            bit if self.0 & bit == 0 => ResponseEncoding::NotOffered,
            _ => ResponseEncoding::Offered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_an_encoding_by_those_that_were_offered() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-accept-encoding", "gzip, br,identity".parse().unwrap());
        let offered = OfferedEncodings::from_headers(&headers);
        for (encoding, expected) in [
            ("gzip", ResponseEncoding::Offered),
            ("br", ResponseEncoding::Offered),
            ("zstd", ResponseEncoding::NotOffered),
            ("identity", ResponseEncoding::Identity),
        ] {
            assert_eq!(offered.classify(encoding.as_bytes()), expected, "{encoding}");
        }
        let nothing = OfferedEncodings::default();
        assert_eq!(nothing.classify(b"gzip"), ResponseEncoding::NotOffered);
    }
}
