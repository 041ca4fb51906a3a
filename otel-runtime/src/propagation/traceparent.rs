//! The header `traceparent` of [W3C Trace Context, level 2](https://www.w3.org/TR/trace-context-2/).

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use super::hex::Hex;

/// Flag of a trace whose id is random in at least its last 7 bytes.
pub(crate) const RANDOM: TraceFlags = TraceFlags::new(0x02);

/// The flags that level 2 defines. All others must be propagated as zero.
pub(super) const DEFINED: TraceFlags = TraceFlags::new(0x03);

/// Length of a header of version 00.
const LENGTH: usize = 55;

/// The fields of a valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traceparent {
    pub(super) trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
}

impl Traceparent {
    /// Returns the span context of the remote span.
    #[inline]
    pub(super) fn span_context(self, trace_state: TraceState) -> SpanContext {
        SpanContext::new(self.trace_id, self.span_id, self.flags, true, trace_state)
    }
}

/// Parses a header line. Returns `None` if the specification requires to ignore it.
#[inline]
pub(super) fn parse(line: &[u8]) -> Option<Traceparent> {
    match <&[u8; LENGTH]>::try_from(line) {
        Ok(header) if header.starts_with(b"00-") => parse_fields(header),
        _ => parse_other(line),
    }
}

/// Parses a header with white space around it, or of a later version.
///
/// A later version may add fields, but begins with those of version 00.
#[cold]
fn parse_other(line: &[u8]) -> Option<Traceparent> {
    let (header, added) = trim_ows(line).split_first_chunk::<LENGTH>()?;
    let version = [header[0], header[1]];
    let is_complete = match added {
        [] => true,
        [delimiter, ..] => version != *b"00" && *delimiter == b'-',
    };
    let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let has_version = version.into_iter().all(is_hex) && version != *b"ff" && header[2] == b'-';
    (is_complete && has_version).then_some(())?;
    parse_fields(header)
}

/// Parses `…-{32 digits}-{16 digits}-{2 digits}` after the version.
fn parse_fields(header: &[u8; LENGTH]) -> Option<Traceparent> {
    if header[35] != b'-' || header[52] != b'-' {
        return None;
    }
    let eight_from = |at: usize| {
        let mut digits = [0; 8];
        digits.copy_from_slice(&header[at..at + 8]);
        Hex::parse8(u64::from_be_bytes(digits))
    };
    let sixteen_from = |at: usize| Hex::concat(eight_from(at), eight_from(at + 8));
    let (trace_high, trace_low, span) = (sixteen_from(3), sixteen_from(19), sixteen_from(36));
    // Nearly all callers send "00", "01", "02" or "03".
    let (flags, invalid) = match [header[53], header[54]] {
        [b'0', digit @ b'0'..=b'3'] => (digit - b'0', 0),
        // Padded with six leading zeros to the eight digits that `parse8` takes.
        [high, low] => {
            let flags = Hex::parse8(u64::from_be_bytes([b'0', b'0', b'0', b'0', b'0', b'0', high, low]));
            (flags.value.to_be_bytes()[7], flags.invalid)
        }
    };
    if trace_high.invalid | trace_low.invalid | span.invalid | invalid != 0 {
        return None;
    }
    let trace_id = TraceId::from(u128::from(trace_high.value) << 64 | u128::from(trace_low.value));
    let span_id = SpanId::from(span.value);
    (trace_id != TraceId::INVALID && span_id != SpanId::INVALID).then_some(Traceparent {
        trace_id,
        span_id,
        flags: TraceFlags::new(flags) & DEFINED,
    })
}

/// Formats the header of a span. `flags` are the span's own, and those known of its trace.
pub(super) fn format(span: &SpanContext, flags: TraceFlags) -> [u8; LENGTH] {
    let mut header = *b"00-00000000000000000000000000000000-0000000000000000-00";
    write_digits(&mut header[3..35], &span.trace_id().to_bytes());
    write_digits(&mut header[36..52], &span.span_id().to_bytes());
    header[54] += (flags & DEFINED).to_u8();
    header
}

#[inline]
fn write_digits(digits: &mut [u8], bytes: &[u8]) {
    for (eight, four) in digits.as_chunks_mut().0.iter_mut().zip(bytes.as_chunks().0) {
        *eight = Hex::encode4(*four);
    }
}

/// Removes optional white space: spaces and horizontal tabs.
pub(super) fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parsed(line: &str) -> Option<(u128, u64, u8)> {
        let span = parse(line.as_bytes())?.span_context(TraceState::NONE);
        assert!(span.is_remote());
        Some((
            u128::from_be_bytes(span.trace_id().to_bytes()),
            u64::from_be_bytes(span.span_id().to_bytes()),
            span.trace_flags().to_u8(),
        ))
    }

    #[test]
    fn a_valid_header_is_parsed() {
        let ids = |flags| Some((0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7, flags));
        for (flags, defined) in [
            ("00", 0),
            ("01", 1),
            ("02", 2),
            ("03", 3),
            ("04", 0),
            ("ff", 3),
            ("a1", 1),
        ] {
            assert_eq!(
                parsed(&PLAIN.replace("-01", &format!("-{flags}"))),
                ids(defined),
                "{flags}"
            );
        }
        for line in [
            format!(" \t{PLAIN}\t "),
            PLAIN.replace("00-4", "01-4"),
            PLAIN.replace("00-4", "fe-4"),
            PLAIN.replace("00-4", "cc-4") + "-",
            PLAIN.replace("00-4", "cc-4") + "-what the future will be like",
        ] {
            assert_eq!(parsed(&line), ids(1), "{line:?}");
        }
    }

    #[test]
    fn an_invalid_header_is_ignored() {
        for line in [
            "",
            "00",
            &PLAIN[..54],
            &PLAIN.to_uppercase(),
            &PLAIN.replace("00-4", "ff-4"),
            &PLAIN.replace("00-4", "0x-4"),
            &PLAIN.replace("00-4", "CC-4"),
            &PLAIN.replace("00-4", "00.4"),
            &PLAIN.replace("00-4", "01.4"),
            &format!("{PLAIN}-"),
            &format!("{PLAIN}."),
            &(PLAIN.replace("00-4", "cc-4") + "."),
            &PLAIN.replace("736-", "736."),
            &PLAIN.replace("2b7-", "2b7."),
            &PLAIN.replace("-01", "-0+"),
            &PLAIN.replace("-01", "-0A"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(parsed(line), None, "{line:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_valid_header_is_written_as_it_was_read(line in "00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]") {
            if let Some(header) = parse(line.as_bytes()) {
                let span = header.span_context(TraceState::NONE);
                prop_assert_eq!(&format(&span, span.trace_flags())[..], line.as_bytes());
            }
        }

        #[test]
        fn a_mutated_header_is_parsed_only_if_it_is_valid(at in 0..55_usize, byte: u8) {
            let mut line = PLAIN.as_bytes().to_vec();
            line[at] = byte;
            let is_valid = match at {
                2 | 35 | 52 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            };
            prop_assert_eq!(parse(&line).is_some(), is_valid);
        }
    }
}
