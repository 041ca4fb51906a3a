//! Fast path of propagation: reads and writes plain `traceparent` headers without the propagator.
//!
//! The W3C propagators do the same work at several times the cost. Any other propagator, and any
//! header beyond a plain `traceparent`, falls back to the propagator.

use std::fmt::{self, Write};
use std::hash::Hasher;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::hex::Hex;
use crate::grpc::request_headers::{KnownHeaders, get_first};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Result of extracting a request's span context without calling the propagator.
#[derive(Debug, PartialEq)]
pub(crate) enum FastExtract {
    /// The request has no header that the propagator reads.
    Empty,
    /// The request carries the caller's span context and nothing else to extract.
    Remote(SpanContext),
    /// The fast path does not apply: call the propagator.
    Fallback,
}

/// Extracts the span context that `propagator` would, if the fast path applies.
#[inline]
pub(crate) fn try_extract(propagator: &dyn TextMapPropagator, found: &KnownHeaders<'_>) -> FastExtract {
    match PropagatorKind::detect(propagator) {
        PropagatorKind::Noop => FastExtract::Empty,
        PropagatorKind::TraceContext => trace_context(found),
        PropagatorKind::TraceContextAndBaggage if !found.has_baggage => trace_context(found),
        PropagatorKind::TraceContextAndBaggage | PropagatorKind::Other => FastExtract::Fallback,
    }
}

/// Injects the span context that `propagator` would, and replaces the one in `headers`.
///
/// Omits an empty `tracestate`. Returns `false`, and writes nothing, if the fast path does not
/// apply and the caller has to use the propagator.
pub(crate) fn try_inject(propagator: &dyn TextMapPropagator, context: &Context, headers: &mut HeaderMap) -> bool {
    match PropagatorKind::detect(propagator) {
        PropagatorKind::Noop => return true,
        PropagatorKind::TraceContext => {}
        PropagatorKind::TraceContextAndBaggage if context.baggage().is_empty() => {}
        PropagatorKind::TraceContextAndBaggage | PropagatorKind::Other => return false,
    }
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return true;
    }
    if *span.trace_state() != TraceState::NONE {
        return false;
    }
    let Ok(traceparent) = HeaderValue::from_bytes(&format(span)) else {
        return false;
    };
    headers.insert(TRACEPARENT, traceparent);
    // The propagator writes an empty `tracestate`, which recipients must accept but senders should
    // avoid (W3C Trace Context, 3.3.1).
    if get_first(headers, &TRACESTATE).is_some() {
        headers.remove(TRACESTATE);
    }
    true
}

fn format(span: &SpanContext) -> [u8; 55] {
    let mut header = *b"00-00000000000000000000000000000000-0000000000000000-00";
    write_digits(&mut header[3..35], &span.trace_id().to_bytes());
    write_digits(&mut header[36..52], &span.span_id().to_bytes());
    header[54] += u8::from(span.is_sampled());
    header
}

#[inline]
fn write_digits(digits: &mut [u8], bytes: &[u8]) {
    for (eight, four) in digits.as_chunks_mut().0.iter_mut().zip(bytes.as_chunks().0) {
        *eight = Hex::encode4(*four);
    }
}

fn trace_context(found: &KnownHeaders<'_>) -> FastExtract {
    match found.traceparent {
        None => FastExtract::Empty,
        Some(_) if found.has_tracestate => FastExtract::Fallback,
        Some(header) => parse(header.as_bytes()).map_or(FastExtract::Fallback, FastExtract::Remote),
    }
}

/// Kind of a propagator, as far as the fast path distinguishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PropagatorKind {
    /// The API's `NoopTextMapPropagator`: the global default until a program sets another.
    Noop,
    /// The SDK's `TraceContextPropagator`.
    TraceContext,
    /// A composite propagator with exactly the fields of W3C Trace Context and W3C Baggage.
    TraceContextAndBaggage,
    Other,
}

impl PropagatorKind {
    /// Identifies a propagator by its `Debug` type name and its fields.
    ///
    /// Caches the kind of a type by its vtable address, as nearly every program has one propagator.
    /// Once cached, a zero-sized type skips the check of its fields, too: they cannot change. A
    /// type with state is checked each time, as each of its values may have other fields.
    fn detect(propagator: &dyn TextMapPropagator) -> Self {
        static SEEN: [(PropagatorKind, AtomicUsize); 3] = [
            (PropagatorKind::TraceContext, AtomicUsize::new(0)),
            (PropagatorKind::TraceContextAndBaggage, AtomicUsize::new(0)),
            (PropagatorKind::Noop, AtomicUsize::new(0)),
        ];

        let address = vtable_address(propagator);
        let seen = SEEN
            .iter()
            .find(|(_, cached)| address != 0 && cached.load(Ordering::Relaxed) == address);
        let kind = seen.map_or_else(|| PropagatorKind::from_type_name(propagator), |(kind, _)| *kind);
        if seen.is_some() && size_of_val(propagator) == 0 {
            return kind;
        }
        if !kind.has_fields_of(propagator) {
            return PropagatorKind::Other;
        }
        if let Some((_, cached)) = SEEN.iter().find(|(seen, _)| *seen == kind) {
            cached.store(address, Ordering::Relaxed);
        }
        kind
    }

    /// Identifies a propagator by its `Debug` output, which starts with the name of its type.
    ///
    /// `TextMapPropagator` offers no downcast.
    fn from_type_name(propagator: &dyn TextMapPropagator) -> Self {
        let mut kind = TypeNameProbe(PropagatorKind::Other);
        let _ = write!(kind, "{propagator:?}");
        kind.0
    }

    /// Returns `true` if `propagator` has the fields expected of this kind.
    fn has_fields_of(self, propagator: &dyn TextMapPropagator) -> bool {
        let fields = || propagator.fields();
        match self {
            PropagatorKind::Noop => fields().next().is_none(),
            PropagatorKind::TraceContext => fields().eq(["traceparent", "tracestate"]),
            // A composite propagator lists its fields in no particular order.
            PropagatorKind::TraceContextAndBaggage => {
                let is_w3c = |field| matches!(field, "traceparent" | "tracestate" | "baggage");
                fields().count() == 3 && fields().all(is_w3c)
            }
            PropagatorKind::Other => true,
        }
    }
}

/// Returns the address of the propagator's vtable, which identifies its type, or 0 if unknown.
fn vtable_address(propagator: &dyn TextMapPropagator) -> usize {
    /// Hasher that records what a pointer writes when it is hashed.
    ///
    /// A pointer to a trait object writes the address of the value, then that of the vtable.
    #[derive(Default)]
    struct Addresses {
        count: usize,
        last: usize,
    }

    impl Hasher for Addresses {
        fn write(&mut self, _: &[u8]) {
            // Pointers are expected to call `write_usize` only: makes the count differ from 2.
            self.count = usize::MAX / 2;
        }

        fn write_usize(&mut self, address: usize) {
            self.count += 1;
            self.last = address;
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let mut addresses = Addresses::default();
    std::ptr::hash(propagator, &mut addresses);
    if addresses.count == 2 { addresses.last } else { 0 }
}

/// Writer that compares the first string with the known type names, and rejects all further output.
struct TypeNameProbe(PropagatorKind);

impl Write for TypeNameProbe {
    fn write_str(&mut self, word: &str) -> fmt::Result {
        self.0 = match word {
            "NoopTextMapPropagator" => PropagatorKind::Noop,
            "TraceContextPropagator" => PropagatorKind::TraceContext,
            "TextMapCompositePropagator" => PropagatorKind::TraceContextAndBaggage,
            _ => PropagatorKind::Other,
        };
        Err(fmt::Error)
    }
}

/// Parses `00-{32 digits}-{16 digits}-{2 digits}`.
///
/// Returns `None` for any other form, though some of them are valid: the propagator decides.
fn parse(header: &[u8]) -> Option<SpanContext> {
    let header: &[u8; 55] = header.try_into().ok()?;
    if !(header.starts_with(b"00-") && header[35] == b'-' && header[52] == b'-') {
        return None;
    }
    let eight_from = |at: usize| {
        let mut digits = [0; 8];
        digits.copy_from_slice(&header[at..at + 8]);
        Hex::parse8(u64::from_be_bytes(digits))
    };
    let sixteen_from = |at: usize| Hex::concat(eight_from(at), eight_from(at + 8));
    let (trace_high, trace_low, span) = (sixteen_from(3), sixteen_from(19), sixteen_from(36));
    // Nearly all callers send "00" or "01".
    let (is_sampled, flags) = match [header[53], header[54]] {
        [b'0', b'0'] => (false, 0),
        [b'0', b'1'] => (true, 0),
        // Padded with six leading zeros to the eight digits that `parse8` takes.
        [high, low] => {
            let flags = Hex::parse8(u64::from_be_bytes([b'0', b'0', b'0', b'0', b'0', b'0', high, low]));
            (flags.value & 1 == 1, flags.invalid)
        }
    };
    if trace_high.invalid | trace_low.invalid | span.invalid | flags != 0 {
        return None;
    }
    let trace_id = TraceId::from(u128::from(trace_high.value) << 64 | u128::from(trace_low.value));
    let span_id = SpanId::from(span.value);
    let flags = TraceFlags::default().with_sampled(is_sampled);
    let span = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    span.is_valid().then_some(span)
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::propagation::text_map_propagator::FieldIter;
    use opentelemetry::propagation::{Extractor, Injector, TextMapCompositePropagator};
    use opentelemetry::trace::noop::NoopTextMapPropagator;
    use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
    use proptest::prelude::*;

    use super::*;
    use crate::propagation::{self, B3Propagator, Headers};

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

    /// Asserts that the fast path extracts the same span context as the propagator.
    fn assert_extracts_the_same(propagator: &dyn TextMapPropagator, headers: &HeaderMap) -> FastExtract {
        let known = try_extract(propagator, &KnownHeaders::scan(headers));
        let context = propagator.extract_with_context(&Context::new(), &Headers::new(headers));
        match &known {
            FastExtract::Empty => assert!(!context.has_active_span(), "{headers:?}"),
            FastExtract::Remote(caller) => {
                assert_eq!(context.span().span_context(), caller, "{headers:?}");
                assert!(caller.is_remote());
            }
            FastExtract::Fallback => {}
        }
        known
    }

    #[test]
    fn a_plain_traceparent_takes_the_fast_path() {
        let caller = |flags| {
            let (trace_id, span_id) = (
                0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128,
                0x00f0_67aa_0ba9_02b7_u64,
            );
            let flags = TraceFlags::new(flags);
            FastExtract::Remote(SpanContext::new(
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
                assert_extracts_the_same(&TraceContextPropagator::new(), &headers),
                caller(expected)
            );
            assert_eq!(assert_extracts_the_same(&both(), &headers), caller(expected));
        }
    }

    #[test]
    fn other_headers_fall_back_to_the_propagator() {
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
            assert_eq!(
                assert_extracts_the_same(&both(), &headers(lines)),
                FastExtract::Fallback,
                "{lines:?}"
            );
        }
        let baggage = headers(&[("traceparent", plain), ("baggage", b"a=1")]);
        assert_eq!(assert_extracts_the_same(&both(), &baggage), FastExtract::Fallback);
        let two = headers(&[("traceparent", plain), ("traceparent", b"00-other")]);
        assert!(
            matches!(assert_extracts_the_same(&both(), &two), FastExtract::Remote(_)),
            "the first of two headers counts"
        );
        assert_eq!(
            assert_extracts_the_same(&both(), &headers(&[("b3", b"0")])),
            FastExtract::Empty
        );
    }

    /// Asserts that the fast path injects the same headers as the propagator, except for an empty
    /// `tracestate`.
    fn assert_injects_the_same(propagator: &dyn TextMapPropagator, context: &Context) -> bool {
        let before = headers(&[
            ("traceparent", b"another"),
            ("tracestate", b"a=1"),
            ("tracestate", b"b=2"),
        ]);
        let (mut ours, mut theirs) = (before.clone(), before.clone());
        let is_written = try_inject(propagator, context, &mut ours);
        propagation::replace(propagator, context, &mut theirs);
        if theirs.get("tracestate").is_some_and(HeaderValue::is_empty) {
            theirs.remove("tracestate");
        }
        assert_eq!(ours, if is_written { theirs } else { before }, "{propagator:?}");
        is_written
    }

    fn span(trace_id: u128, span_id: u64, flags: u8, state: &str) -> Context {
        let (flags, state) = (TraceFlags::new(flags), state.parse().unwrap());
        let span = SpanContext::new(trace_id.into(), span_id.into(), flags, false, state);
        Context::new().with_remote_span_context(span)
    }

    #[test]
    fn injecting_a_tracestate_or_baggage_falls_back_to_the_propagator() {
        let plain = span(1, 2, 1, "");
        for (context, is_plain) in [
            (Context::new(), true),
            (plain.clone(), true),
            (span(1, 2, 3, ""), true),
            (span(0, 2, 1, ""), true),
            (span(1, 2, 1, "a=1"), false),
        ] {
            assert!(assert_injects_the_same(&NoopTextMapPropagator::new(), &context));
            assert_eq!(
                assert_injects_the_same(&TraceContextPropagator::new(), &context),
                is_plain
            );
            assert_eq!(assert_injects_the_same(&both(), &context), is_plain);
            assert!(!assert_injects_the_same(&B3Propagator::single(), &context));
        }
        let with_baggage = plain.with_baggage([KeyValue::new("a", "1")]);
        assert!(!assert_injects_the_same(&both(), &with_baggage));
        assert!(assert_injects_the_same(&TraceContextPropagator::new(), &with_baggage));
    }

    /// Propagator with the `Debug` output of another type.
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
    fn only_the_noop_and_w3c_propagators_are_recognized() {
        // The cached answer equals the first one.
        let detect = |propagator: &dyn TextMapPropagator| {
            let kind = PropagatorKind::detect(propagator);
            assert_eq!(PropagatorKind::detect(propagator), kind);
            kind
        };
        assert_eq!(detect(&NoopTextMapPropagator::new()), PropagatorKind::Noop);
        assert_eq!(detect(&TraceContextPropagator::new()), PropagatorKind::TraceContext);
        assert_eq!(detect(&both()), PropagatorKind::TraceContextAndBaggage);
        assert_eq!(detect(&TextMapCompositePropagator::new(vec![])), PropagatorKind::Other);
        assert_eq!(detect(&B3Propagator::single()), PropagatorKind::Other);
        assert_eq!(detect(&BaggagePropagator::new()), PropagatorKind::Other);
        let with_b3 = TextMapCompositePropagator::new(vec![Box::new(both()), Box::new(B3Propagator::single())]);
        assert_eq!(detect(&with_b3), PropagatorKind::Other);
        assert_eq!(detect(&both()), PropagatorKind::TraceContextAndBaggage);
        for name in [
            "NoopTextMapPropagator",
            "TraceContextPropagator",
            "TextMapCompositePropagator",
        ] {
            assert_eq!(detect(&Impostor(name, vec!["x-mine".into()])), PropagatorKind::Other);
        }
        assert_eq!(detect(&Impostor("Mine", vec![])), PropagatorKind::Other);
    }

    // A type may have several vtables: `detect` then reads its name again. Miri duplicates vtables
    // on purpose.
    #[test]
    #[cfg_attr(miri, ignore = "a type has several vtables")]
    fn a_type_is_identified_by_its_vtable_address() {
        let address = |propagator: &dyn TextMapPropagator| vtable_address(propagator);
        assert_ne!(address(&TraceContextPropagator::new()), 0);
        assert_eq!(address(&both()), address(&TextMapCompositePropagator::new(vec![])));
        assert_ne!(
            address(&NoopTextMapPropagator::new()),
            address(&TraceContextPropagator::new())
        );
        assert_ne!(address(&both()), address(&TraceContextPropagator::new()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn any_span_context_is_injected_as_by_the_propagator(trace_id: u128, span_id: u64, flags: u8) {
            assert_injects_the_same(&TraceContextPropagator::new(), &span(trace_id, span_id, flags, ""));
        }

        #[test]
        fn any_bytes_are_extracted_as_by_the_propagator(line in prop::collection::vec(any::<u8>(), 0..64)) {
            assert_extracts_the_same(&TraceContextPropagator::new(), &headers(&[("traceparent", &line)]));
        }

        #[test]
        fn a_mutated_plain_header_is_extracted_as_by_the_propagator(at in 0..55_usize, byte: u8, again in 0..55_usize, other in "[0-9a-fA-F+ -]") {
            let mut line = PLAIN.as_bytes().to_vec();
            line[at] = byte;
            line[again] = other.as_bytes()[0];
            assert_extracts_the_same(&TraceContextPropagator::new(), &headers(&[("traceparent", &line)]));
            assert_extracts_the_same(&both(), &headers(&[("traceparent", &line)]));
        }

        #[test]
        fn any_ids_are_extracted_as_by_the_propagator(line in "00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", state in "|a=1", baggage in "|a=1") {
            let mut lines = vec![("traceparent", line.as_bytes())];
            lines.extend((!state.is_empty()).then_some(("tracestate", state.as_bytes())));
            lines.extend((!baggage.is_empty()).then_some(("baggage", baggage.as_bytes())));
            assert_extracts_the_same(&TraceContextPropagator::new(), &headers(&lines));
            assert_extracts_the_same(&both(), &headers(&lines));
        }
    }
}
