//! How much of what somebody else wrote goes into telemetry, and on to the next service.
//!
//! What carries an RPC has limits of its own, but they are those of a request: of 16 KiB of headers one attribute could hold nearly all, and keep it long after the RPC.

/// Bytes of one value of a captured header or trailer. A multiple of four, so that base64 can be cut there.
pub(crate) const HEADER_VALUE: usize = 1024;

/// Values of one captured header or trailer.
pub(crate) const HEADER_VALUES: usize = 16;

/// Bytes of a name from the wire: of a method, and of a server, for which DNS has at most 253.
pub(crate) const NAME: usize = 256;

/// Bytes of the message that describes a failed span.
pub(crate) const MESSAGE: usize = 4096;

/// The start of `text` that is at most so many bytes.
#[inline]
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The limits of a header that is a list, with commas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) members: usize,
    pub(crate) bytes: usize,
}

/// What the W3C has everybody pass on.
pub(crate) const BAGGAGE: List = List {
    members: 64,
    bytes: 8192,
};

/// The W3C has 512 bytes as the least. With the longest baggage it has to leave room for the metadata of an RPC within the 16 KiB that servers take.
pub(crate) const TRACESTATE: List = List {
    members: 32,
    bytes: 4096,
};

impl List {
    /// The limits of the header `name`, if it is such a list.
    pub(crate) fn of(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("tracestate") {
            Some(TRACESTATE)
        } else if name.eq_ignore_ascii_case("baggage") {
            Some(BAGGAGE)
        } else {
            None
        }
    }

    /// The first members of a list that are within the limits, each as a whole.
    pub(crate) fn cut(self, list: &str) -> &str {
        let mut ends = list.match_indices(',').map(|(end, _)| end).chain([list.len()]);
        let mut kept = 0;
        for _ in 0..self.members {
            match ends.next() {
                Some(end) if end <= self.bytes => kept = end,
                _ => break,
            }
        }
        &list[..kept]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("abc", 4), "abc");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("a\u{e9}", 2), "a");
        assert_eq!(cut("\u{1f600}", 3), "");
    }

    #[test]
    fn a_list_is_cut_between_members() {
        let list = List { members: 3, bytes: 7 };
        for (whole, kept) in [
            ("", ""),
            ("a=1", "a=1"),
            ("a=1,b=2", "a=1,b=2"),
            ("a=1,b=23", "a=1"),
            ("a=1,b=2,c=3", "a=1,b=2"),
            ("a,b,c,d", "a,b,c"),
            ("a=123456", ""),
        ] {
            assert_eq!(list.cut(whole), kept, "{whole:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_text_is(text: String, most in 0..40_usize) {
            let kept = cut(&text, most);
            prop_assert!(kept.len() <= most && text.starts_with(kept));
            // No whole character more would have fitted.
            if let Some(next) = text[kept.len()..].chars().next() {
                prop_assert!(kept.len() + next.len_utf8() > most);
            }
        }

        #[test]
        fn whatever_the_list_is(list in "[a,\u{e9}]{0,30}", members in 1..8_usize, bytes in 0..20_usize) {
            let kept = List { members, bytes }.cut(&list);
            prop_assert!(kept.len() <= bytes && kept.split(',').count() <= members);
            let rest = list.strip_prefix(kept).unwrap();
            prop_assert!(rest.is_empty() || rest.starts_with(',') || kept.is_empty());
        }
    }
}
