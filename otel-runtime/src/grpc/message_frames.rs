//! gRPC's length-prefixed messages in the chunks of an HTTP body.

use bytes::Buf;
use http_body::Frame;

/// Parser that finds the gRPC messages in the DATA frames of an HTTP body.
///
/// Each message follows a five-byte head: the compressed flag and a length of four bytes. Heads and
/// messages may start and end anywhere in a DATA frame.
#[derive(Debug, Default)]
pub(crate) struct MessageFrames {
    head: [u8; 5],
    /// Number of bytes of the current head that have been read.
    head_len: usize,
    /// Number of bytes of the current message that are still to come.
    remaining: u64,
    /// Whether a frame could not be read, so that the start of the next message is unknown.
    desynced: bool,
}

impl MessageFrames {
    /// Reads a frame, and calls `message` with the size of each message that starts in it.
    pub(crate) fn on_frame<D: Buf>(&mut self, frame: &Frame<D>, message: impl FnMut(u64)) {
        if let Some(data) = frame.data_ref()
            && !self.desynced
        {
            // A `Buf` of several chunks cannot be read past the first without consuming it.
            self.desynced = data.chunk().len() != data.remaining();
            if !self.desynced {
                self.on_bytes(data.chunk(), message);
            }
        }
    }

    fn on_bytes(&mut self, mut data: &[u8], mut message: impl FnMut(u64)) {
        while !data.is_empty() {
            if self.remaining > 0 {
                let passing = data.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
                self.remaining -= passing as u64;
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
                self.remaining = u64::from(u32::from_be_bytes(length));
                message(self.remaining);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(chunks: &[&[u8]]) -> Vec<u64> {
        let (mut frames, mut sizes) = (MessageFrames::default(), Vec::new());
        for chunk in chunks {
            frames.on_bytes(chunk, |size| sizes.push(size));
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
    fn reports_a_message_once_its_length_is_read() {
        assert_eq!(sizes(&[&BODY[..4]]), [0; 0]);
        assert_eq!(sizes(&[&BODY[..5]]), vec![3]);
        assert_eq!(sizes(&[]), [0; 0]);
    }
}
