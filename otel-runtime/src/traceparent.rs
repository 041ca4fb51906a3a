//! The caller's context, read in place where that is plain: a `traceparent` as everybody writes it, and the W3C's propagators to read it.
//!
//! What those do with such a header is known, and costs several times what it costs here. Whatever else there is, any other propagator and any other header, is read by the propagator.

use std::fmt::{self, Write};

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::headers::Found;

/// What is known of a request without asking the propagator.
#[derive(Debug, PartialEq)]
pub(crate) enum Known {
    /// There is nothing in it for the propagator.
    Nothing,
    /// The caller's span, and nothing else.
    Caller(SpanContext),
    /// It is for the propagator to say.
    Unknown,
}

/// What `propagator` would read.
pub(crate) fn read(propagator: &dyn TextMapPropagator, found: &Found<'_>) -> Known {
    match Kind::of(propagator) {
        Kind::Nothing => Known::Nothing,
        Kind::TraceContext => trace_context(found),
        Kind::TraceContextAndBaggage if !found.has_baggage => trace_context(found),
        Kind::TraceContextAndBaggage | Kind::Other => Known::Unknown,
    }
}

fn trace_context(found: &Found<'_>) -> Known {
    match found.traceparent {
        None => Known::Nothing,
        Some(_) if found.has_tracestate => Known::Unknown,
        Some(header) => parse(header.as_bytes()).map_or(Known::Unknown, Known::Caller),
    }
}

/// What is known of a propagator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The API's, which does nothing. It is the global one until somebody sets another.
    Nothing,
    /// The SDK's `TraceContextPropagator`.
    TraceContext,
    /// Several, with the W3C's fields and no other.
    TraceContextAndBaggage,
    Other,
}

impl Kind {
    /// A propagator does not say what it is, but for its `Debug`, which starts with the name of its type.
    fn of(propagator: &dyn TextMapPropagator) -> Self {
        let mut kind = KindWriter(Kind::Other);
        let _ = write!(kind, "{propagator:?}");
        let has_fields = |expected: &[&str]| {
            let is_expected = |field| expected.contains(&field);
            propagator.fields().all(is_expected) && propagator.fields().count() == expected.len()
        };
        let is_as_named = match kind.0 {
            Kind::Nothing => has_fields(&[]),
            Kind::TraceContext => has_fields(&["traceparent", "tracestate"]),
            Kind::TraceContextAndBaggage => has_fields(&["traceparent", "tracestate", "baggage"]),
            Kind::Other => true,
        };
        if is_as_named { kind.0 } else { Kind::Other }
    }
}

/// Takes the first word, and refuses the rest.
struct KindWriter(Kind);

impl Write for KindWriter {
    fn write_str(&mut self, word: &str) -> fmt::Result {
        self.0 = match word {
            "NoopTextMapPropagator" => Kind::Nothing,
            "TraceContextPropagator" => Kind::TraceContext,
            "TextMapCompositePropagator" => Kind::TraceContextAndBaggage,
            _ => Kind::Other,
        };
        Err(fmt::Error)
    }
}

/// Reads `00-{32 digits}-{16 digits}-{2 digits}`. `None` for any other form: some of them are valid all the same.
fn parse(header: &[u8]) -> Option<SpanContext> {
    let header: &[u8; 55] = header.try_into().ok()?;
    if !(header.starts_with(b"00-") && header[35] == b'-' && header[52] == b'-') {
        return None;
    }
    let high = digits(&header[3..19])?;
    let low = digits(&header[19..35])?;
    let trace_id = TraceId::from(u128::from(high) << 64 | u128::from(low));
    let span_id = SpanId::from(digits(&header[36..52])?);
    let is_sampled = digits(&header[53..55])? & 1 == 1;
    let flags = TraceFlags::default().with_sampled(is_sampled);
    let span = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    span.is_valid().then_some(span)
}

/// The number that up to 16 hexadecimal digits in lower case stand for.
fn digits(hex: &[u8]) -> Option<u64> {
    const NONE: u8 = 0xff;
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut value = 0;
        while value < 16 {
            values[b"0123456789abcdef"[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    let mut number = 0;
    let mut all = 0;
    for digit in hex {
        let value = VALUES[usize::from(*digit)];
        all |= value;
        number = number << 4 | u64::from(value);
    }
    (all < 16).then_some(number)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use opentelemetry::Context;
    use opentelemetry::propagation::text_map_propagator::FieldIter;
    use opentelemetry::propagation::{Extractor, Injector, TextMapCompositePropagator};
    use opentelemetry::trace::TraceContextExt;
    use opentelemetry::trace::noop::NoopTextMapPropagator;
    use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
    use proptest::prelude::*;

    use super::*;
    use crate::propagation::{B3Propagator, Headers};

    const PLAIN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn both() -> TextMapCompositePropagator {
        TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ])
    }

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            if let Ok(line) = HeaderValue::from_bytes(line) {
                headers.append(*name, line);
            }
        }
        headers
    }

    /// What is read here is what the propagator reads.
    fn assert_the_same(propagator: &dyn TextMapPropagator, headers: &HeaderMap) -> Known {
        let known = read(propagator, &Found::of(headers));
        let context = propagator.extract_with_context(&Context::new(), &Headers::new(headers));
        match &known {
            Known::Nothing => assert!(!context.has_active_span(), "{headers:?}"),
            Known::Caller(caller) => {
                assert_eq!(context.span().span_context(), caller, "{headers:?}");
                assert!(caller.is_remote());
            }
            Known::Unknown => {}
        }
        known
    }

    #[test]
    fn a_plain_header_is_read_in_place() {
        let caller = |flags| {
            let (trace_id, span_id) = (
                0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128,
                0x00f0_67aa_0ba9_02b7_u64,
            );
            let flags = TraceFlags::new(flags);
            Known::Caller(SpanContext::new(
                trace_id.into(),
                span_id.into(),
                flags,
                true,
                TraceState::NONE,
            ))
        };
        for (flags, expected) in [("00", 0), ("01", 1), ("02", 0), ("ff", 1)] {
            let plain = PLAIN.replace("-01", &format!("-{flags}"));
            let headers = headers(&[
                ("x-before", b"1"),
                ("traceparent", plain.as_bytes()),
                ("x-behind", b"1"),
            ]);
            assert_eq!(
                assert_the_same(&TraceContextPropagator::new(), &headers),
                caller(expected)
            );
            assert_eq!(assert_the_same(&both(), &headers), caller(expected));
        }
    }

    #[test]
    fn what_is_not_plain_is_the_propagators() {
        let plain = PLAIN.as_bytes();
        let upper = PLAIN.to_uppercase();
        for lines in [
            &[("traceparent", plain), ("tracestate", b"a=1")][..],
            &[("traceparent", upper.as_bytes())],
            &[("traceparent", &plain[..54])],
            &[("traceparent", &[plain, b"-"].concat())],
            &[("traceparent", &[b" ", plain].concat())],
            &[("traceparent", &[b"01", &plain[2..]].concat())],
            &[(
                "traceparent",
                b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            )],
            &[(
                "traceparent",
                b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            )],
            &[("traceparent", b"")],
        ] {
            assert_eq!(assert_the_same(&both(), &headers(lines)), Known::Unknown, "{lines:?}");
        }
        let baggage = headers(&[("traceparent", plain), ("baggage", b"a=1")]);
        assert_eq!(assert_the_same(&both(), &baggage), Known::Unknown);
        let two = headers(&[("traceparent", plain), ("traceparent", b"00-other")]);
        assert!(
            matches!(assert_the_same(&both(), &two), Known::Caller(_)),
            "the first counts"
        );
        assert_eq!(assert_the_same(&both(), &headers(&[("b3", b"0")])), Known::Nothing);
    }

    /// Says that it is another.
    struct Impostor(&'static str, Vec<String>);

    impl fmt::Debug for Impostor {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl TextMapPropagator for Impostor {
        fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

        fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
            context.clone()
        }

        fn fields(&self) -> FieldIter<'_> {
            FieldIter::new(&self.1)
        }
    }

    #[test]
    fn only_the_w3cs_propagators_are_known() {
        let of = |propagator: &dyn TextMapPropagator| Kind::of(propagator);
        assert_eq!(of(&NoopTextMapPropagator::new()), Kind::Nothing);
        assert_eq!(of(&TraceContextPropagator::new()), Kind::TraceContext);
        assert_eq!(of(&both()), Kind::TraceContextAndBaggage);
        assert_eq!(of(&B3Propagator::single()), Kind::Other);
        assert_eq!(of(&BaggagePropagator::new()), Kind::Other);
        let with_b3 = TextMapCompositePropagator::new(vec![Box::new(both()), Box::new(B3Propagator::single())]);
        assert_eq!(of(&with_b3), Kind::Other);
        for name in [
            "NoopTextMapPropagator",
            "TraceContextPropagator",
            "TextMapCompositePropagator",
        ] {
            assert_eq!(of(&Impostor(name, vec!["x-mine".into()])), Kind::Other);
        }
        assert_eq!(of(&Impostor("Mine", vec![])), Kind::Other);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn whatever_the_header_is(line in prop::collection::vec(any::<u8>(), 0..64)) {
            assert_the_same(&TraceContextPropagator::new(), &headers(&[("traceparent", &line)]));
        }

        #[test]
        fn whatever_is_changed_in_a_plain_one(at in 0..55_usize, byte: u8, again in 0..55_usize, other in "[0-9a-fA-F+ -]") {
            let mut line = PLAIN.as_bytes().to_vec();
            line[at] = byte;
            line[again] = other.as_bytes()[0];
            assert_the_same(&TraceContextPropagator::new(), &headers(&[("traceparent", &line)]));
            assert_the_same(&both(), &headers(&[("traceparent", &line)]));
        }

        #[test]
        fn whatever_the_ids_are(line in "00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", state in "|a=1", baggage in "|a=1") {
            let mut lines = vec![("traceparent", line.as_bytes())];
            lines.extend((!state.is_empty()).then_some(("tracestate", state.as_bytes())));
            lines.extend((!baggage.is_empty()).then_some(("baggage", baggage.as_bytes())));
            assert_the_same(&TraceContextPropagator::new(), &headers(&lines));
            assert_the_same(&both(), &headers(&lines));
        }
    }
}
