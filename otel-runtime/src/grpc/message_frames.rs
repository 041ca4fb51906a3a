//! gRPC's length-prefixed messages in the chunks of an HTTP body.

use bytes::Buf;
use http_body::Frame;

/// Finds the messages in a body: each is in a frame, behind a flag and four bytes of length. A frame can begin and end anywhere in the chunks that the body comes in.
#[derive(Debug, Default)]
pub(crate) struct MessageFrames {
    head: [u8; 5],
    /// How much of the head has passed.
    head_len: usize,
    /// How much of the message is still to pass.
    remaining: u64,
    desynced: bool,
}

impl MessageFrames {
    pub(crate) fn on_frame<D: Buf>(&mut self, frame: &Frame<D>, message: impl FnMut(u64)) {
        if let Some(data) = frame.data_ref()
            && !self.desynced
        {
            // Data in several pieces cannot be read through without being used up.
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
