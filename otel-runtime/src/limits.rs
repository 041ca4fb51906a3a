//! Limits on data from the wire that is recorded in telemetry or propagated.
//!
//! tonic's HTTP/2 server limits the headers of a request only in total, to 16 KiB by default.
//! Without limits of our own, one attribute could hold nearly all of that, long after the RPC.

/// Maximum bytes of one value of a captured header or trailer.
///
/// A multiple of four, so that base64 can be cut there.
pub(crate) const HEADER_VALUE: usize = 1024;

/// Maximum number of values of one captured header or trailer.
pub(crate) const HEADER_VALUES: usize = 16;

/// Maximum number of headers of one message that patterns capture, for each list of names.
pub(crate) const PATTERN_HEADERS: usize = 32;

/// Maximum sets of values of the user's own attributes on metrics, of all layers with these keys.
pub(crate) const ATTRIBUTE_SETS: usize = 1000;

/// Maximum bytes of the name of a method, a server, or a header that a pattern captures, if it is
/// from the wire. DNS names have at most 253.
pub(crate) const NAME: usize = 256;

/// Maximum bytes of the description in a span status.
pub(crate) const MESSAGE: usize = 4096;

/// Returns the longest prefix of `text` that is at most `max` bytes.
#[inline]
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The limits of a header that is a comma-separated list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) members: usize,
    pub(crate) bytes: usize,
}

/// The minimum that W3C Baggage requires every platform to propagate.
pub(crate) const BAGGAGE: List = List {
    members: 64,
    bytes: 8192,
};

/// W3C Trace Context requires at least 512 bytes.
///
/// The longest `tracestate` and the longest baggage together must leave room for the metadata of an
/// RPC within the 16 KiB that servers accept.
pub(crate) const TRACESTATE: List = List {
    members: 32,
    bytes: 4096,
};

impl List {
    /// Returns the limits of the header `name`, if it is `tracestate` or `baggage`.
    pub(crate) fn for_header(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("tracestate") {
            Some(TRACESTATE)
        } else if name.eq_ignore_ascii_case("baggage") {
            Some(BAGGAGE)
        } else {
            None
        }
    }

    /// Returns the longest prefix of whole members that is within the limits.
    pub(crate) fn cut(self, list: &str) -> &str {
        let mut ends = list.match_indices(',').map(|(end, _)| end).chain([list.len()]);
        let mut prefix = 0;
        for _ in 0..self.members {
            match ends.next() {
                Some(end) if end <= self.bytes => prefix = end,
                _ => break,
            }
        }
        &list[..prefix]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_text_between_characters() {
        assert_eq!(cut("abc", 4), "abc");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("a\u{e9}", 2), "a");
        assert_eq!(cut("\u{1f600}", 3), "");
    }

    #[test]
    fn cuts_a_list_between_members() {
        let list = List { members: 3, bytes: 7 };
        for (whole, prefix) in [
            ("", ""),
            ("a=1", "a=1"),
            ("a=1,b=2", "a=1,b=2"),
            ("a=1,b=23", "a=1"),
            ("a=1,b=2,c=3", "a=1,b=2"),
            ("a,b,c,d", "a,b,c"),
            ("a=123456", ""),
        ] {
            assert_eq!(list.cut(whole), prefix, "{whole:?}");
        }
    }

    proptest! {
        #[test]
        fn cut_returns_the_longest_prefix(text: String, max in 0..40_usize) {
            let prefix = cut(&text, max);
            prop_assert!(prefix.len() <= max && text.starts_with(prefix));
            // Another character would not have fitted.
            if let Some(next) = text[prefix.len()..].chars().next() {
                prop_assert!(prefix.len() + next.len_utf8() > max);
            }
        }

        #[test]
        fn cut_list_respects_both_limits(list in "[a,\u{e9}]{0,30}", members in 1..8_usize, bytes in 0..20_usize) {
            let prefix = List { members, bytes }.cut(&list);
            prop_assert!(prefix.len() <= bytes && prefix.split(',').count() <= members);
            let rest = list.strip_prefix(prefix).unwrap();
            prop_assert!(rest.is_empty() || rest.starts_with(',') || prefix.is_empty());
        }
    }
}
