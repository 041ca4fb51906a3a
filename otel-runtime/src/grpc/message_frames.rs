//! gRPC's length-prefixed messages in the chunks of an HTTP body.

use bytes::Buf;
use http_body::Frame;

/// The head of a message: the compressed flag and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageHead {
    pub(crate) flag: u8,
    pub(crate) size: u32,
}

/// Number of bytes of a message's head.
const HEAD: usize = 5;

/// Parser that finds the gRPC messages in the DATA frames of an HTTP body.
///
/// Each message follows a five-byte head: the compressed flag and a length of four bytes. Heads and
/// messages may start and end anywhere in a DATA frame.
#[derive(Debug, Default)]
pub(crate) struct MessageFrames {
    head: [u8; HEAD],
    /// Number of bytes of the current head that have been read.
    head_len: u8,
    /// Whether a frame could not be read, so that the start of the next message is unknown.
    desynced: bool,
    /// Number of bytes of the current message that are still to come.
    remaining: u32,
}

impl MessageFrames {
    /// Reads a frame, calls `message` with the head of each message that ends in it, and returns
    /// the number of bytes of messages, without their heads.
    #[inline]
    pub(crate) fn on_frame<D: Buf>(&mut self, frame: &Frame<D>, message: impl FnMut(MessageHead)) -> u64 {
        let Some(data) = frame.data_ref().filter(|_| !self.desynced) else {
            return 0;
        };
        // A `Buf` of several chunks cannot be read past the first without consuming it.
        self.desynced = data.chunk().len() != data.remaining();
        if self.desynced {
            0
        } else {
            self.on_bytes(data.chunk(), message)
        }
    }

    /// Returns the head of the last message whose head has been read.
    pub(crate) fn last_head(&self) -> MessageHead {
        let [flag, size @ ..] = self.head;
        MessageHead {
            flag,
            size: u32::from_be_bytes(size),
        }
    }

    /// Returns `true` between the first byte of a head and the last byte of its message.
    pub(crate) fn is_inside_message(&self) -> bool {
        self.head_len > 0
    }

    /// Returns `true` between a whole head and the last byte of its message.
    pub(crate) fn is_behind_head(&self) -> bool {
        usize::from(self.head_len) == HEAD
    }

    #[inline]
    fn on_bytes(&mut self, data: &[u8], mut message: impl FnMut(MessageHead)) -> u64 {
        // Most frames hold one whole message.
        if let [flag, a, b, c, d, content @ ..] = data
            && self.head_len == 0
            && content.len() == u32::from_be_bytes([*a, *b, *c, *d]) as usize
        {
            self.head = [*flag, *a, *b, *c, *d];
            message(self.last_head());
            return content.len() as u64;
        }
        self.on_messages(data, message)
    }

    /// Reads the whole messages at the start of a frame, and what follows them.
    #[inline(never)]
    fn on_messages(&mut self, mut data: &[u8], mut message: impl FnMut(MessageHead)) -> u64 {
        let mut passed = 0;
        if self.head_len == 0 {
            // The head of the last whole message: kept once, and not for each message.
            let mut last = None;
            while let Some((head, content)) = data.split_first_chunk::<HEAD>() {
                let [flag, size @ ..] = *head;
                let size = u32::from_be_bytes(size);
                let Some(rest) = content.get(size as usize..) else {
                    break;
                };
                last = Some(head);
                message(MessageHead { flag, size });
                passed += u64::from(size);
                data = rest;
            }
            if let Some(head) = last {
                self.head = *head;
            }
        }
        if data.is_empty() {
            return passed;
        }
        passed + self.on_any_bytes(data, &mut message)
    }

    #[cold]
    fn on_any_bytes(&mut self, mut data: &[u8], message: &mut dyn FnMut(MessageHead)) -> u64 {
        let mut passed = 0;
        while !data.is_empty() {
            if !self.is_behind_head() {
                let read = usize::from(self.head_len);
                let (head, rest) = data.split_at(data.len().min(HEAD - read));
                self.head[read..read + head.len()].copy_from_slice(head);
                self.head_len += u8::try_from(head.len()).unwrap_or_default();
                data = rest;
                if !self.is_behind_head() {
                    break;
                }
                self.remaining = self.last_head().size;
            }
            let passing = u32::try_from(data.len()).unwrap_or(u32::MAX).min(self.remaining);
            passed += u64::from(passing);
            self.remaining -= passing;
            data = &data[passing as usize..];
            if self.remaining == 0 {
                self.head_len = 0;
                message(self.last_head());
            }
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(chunks: &[&[u8]]) -> Vec<u32> {
        let (mut frames, mut sizes) = (MessageFrames::default(), Vec::new());
        for chunk in chunks {
            frames.on_bytes(chunk, |head| sizes.push(head.size));
        }
        sizes
    }

    const BODY: &[u8] = b"\x00\x00\x00\x00\x03abc\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00";

    #[test]
    fn finds_messages_wherever_the_body_is_split() {
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
    fn reports_a_message_once_it_has_passed() {
        assert_eq!(sizes(&[&BODY[..7]]), [0; 0]);
        assert_eq!(sizes(&[&BODY[..8]]), vec![3]);
        assert_eq!(sizes(&[]), [0; 0]);
    }

    #[test]
    fn counts_the_bytes_that_have_passed() {
        let mut frames = MessageFrames::default();
        let announced = b"\x00\xff\xff\xff\xffabcde";
        assert_eq!(frames.on_bytes(announced, |_| unreachable!()), 5);
        assert!(frames.is_behind_head());
        let size = u32::MAX;
        assert_eq!(frames.last_head(), MessageHead { flag: 0, size });
    }
}
