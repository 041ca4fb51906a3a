//! Fuzz target: the fast path for `traceparent`, compared with the propagator that it replaces.

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

use super::headers;
use crate::grpc::request_headers::KnownHeaders;
use crate::propagation::traceparent::{self, FastExtract};
use crate::propagation::{Carrier, Limited, replace};

/// Checks that the fast path extracts and injects exactly as the W3C propagators do.
///
/// The only difference is that the fast path does not inject an empty `tracestate`.
pub fn check(bytes: &[u8]) {
    compare(&headers(bytes));
    if let Ok(line) = HeaderValue::from_bytes(bytes) {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", line);
        compare(&headers);
    }
}

fn compare(headers: &HeaderMap) {
    let w3c = TraceContextPropagator::new();
    let with_baggage = TextMapCompositePropagator::new(vec![
        Box::new(BaggagePropagator::new()),
        Box::new(TraceContextPropagator::new()),
    ]);
    let is_alone = !headers.contains_key("baggage");
    compare_with(&w3c, headers, true);
    compare_with(&with_baggage, headers, is_alone);
}

fn compare_with(propagator: &dyn TextMapPropagator, headers: &HeaderMap, is_alone: bool) {
    let expected = propagator.extract_with_context(&Context::new(), &Limited(headers.extractor()));
    let is_plain = headers.get("traceparent").is_some_and(|line| is_plain(line.as_bytes()));
    match traceparent::try_extract(propagator, &KnownHeaders::scan(headers)) {
        FastExtract::Empty => assert!(!expected.has_active_span()),
        FastExtract::Remote(caller) => {
            assert!(is_plain);
            assert_eq!(&caller, expected.span().span_context());
        }
        FastExtract::Fallback => assert!(!is_plain || !is_alone || headers.contains_key("tracestate")),
    }
    assert_injected_alike(propagator, &expected);
}

fn assert_injected_alike(propagator: &dyn TextMapPropagator, context: &Context) {
    let (mut ours, mut theirs) = (HeaderMap::new(), HeaderMap::new());
    if traceparent::try_inject(propagator, context, &mut ours) {
        replace(propagator, context, &mut theirs);
        if theirs.get("tracestate").is_some_and(HeaderValue::is_empty) {
            theirs.remove("tracestate");
        }
        assert_eq!(ours, theirs);
    } else {
        assert_eq!(ours, theirs, "must not inject anything on failure");
    }
}

/// Returns `true` if a `traceparent` is valid and has version 00, checked byte by byte.
fn is_plain(line: &[u8]) -> bool {
    let is_zero = |range: std::ops::Range<usize>| line[range].iter().all(|digit| *digit == b'0');
    line.len() == 55
        && line.starts_with(b"00-")
        && line.iter().enumerate().all(|(at, byte)| match at {
            2 | 35 | 52 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
        && !is_zero(3..35)
        && !is_zero(36..52)
}
