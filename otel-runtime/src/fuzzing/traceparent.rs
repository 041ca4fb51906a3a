//! Fuzz target: W3C Trace Context and W3C Baggage, on the headers of an RPC.

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt};

use super::headers;
use crate::grpc::request_headers::KnownHeaders;
use crate::propagation::{BaggagePropagator, Carrier, Limited, TraceContextPropagator, W3c, replace};

/// Checks that the layers extract and inject what the propagators do, and nothing invalid.
///
/// Headers that were injected are extracted, and injected again, without a change.
pub fn check(bytes: &[u8]) {
    check_headers(&headers(bytes));
    for name in ["traceparent", "baggage"] {
        if let Ok(line) = HeaderValue::from_bytes(bytes) {
            check_headers(&HeaderMap::from_iter([(http::HeaderName::from_static(name), line)]));
        }
    }
    if let Ok(line) = HeaderValue::from_bytes(bytes) {
        let mut headers = HeaderMap::new();
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", HeaderValue::from_static(traceparent));
        headers.insert("tracestate", line);
        check_headers(&headers);
    }
}

fn check_headers(headers: &HeaderMap) {
    let traceparent = headers.get("traceparent").map(HeaderValue::as_bytes);
    let is_alone = headers.get_all("traceparent").iter().count() == 1;
    let is_valid = is_alone && traceparent.is_some_and(|line| is_valid(line.trim_ascii()));
    for has_baggage in [false, true] {
        let context = extract(has_baggage, headers);
        assert_eq!(context.span().span_context().is_valid(), is_valid, "{headers:?}");
        assert_extracted_alike(has_baggage, headers, &context);
        let injected = inject(has_baggage, &context);
        let again = extract(has_baggage, &injected);
        assert_eq!(span(&again), span(&context));
        assert_eq!(again.baggage().to_string().len(), context.baggage().to_string().len());
        assert_eq!(inject(has_baggage, &again), injected);
        assert!(
            injected
                .values()
                .all(|value| !value.is_empty() && value.to_str().is_ok())
        );
    }
}

fn span(context: &Context) -> SpanContext {
    context.span().span_context().clone()
}

fn extract(has_baggage: bool, headers: &HeaderMap) -> Context {
    let w3c = W3c { has_baggage };
    w3c.extract(headers, &KnownHeaders::scan(headers)).unwrap_or_default()
}

fn inject(has_baggage: bool, context: &Context) -> HeaderMap {
    let mut headers = HeaderMap::new();
    W3c { has_baggage }.inject(context, &mut headers);
    headers
}

/// Asserts that the propagators do the same, if all lines are text: they get no others.
fn assert_extracted_alike(has_baggage: bool, headers: &HeaderMap, context: &Context) {
    if headers.values().any(|line| line.to_str().is_err()) {
        return;
    }
    let extractor = Limited(headers.extractor());
    let mut expected = TraceContextPropagator::new().extract_with_context(&Context::new(), &extractor);
    if has_baggage {
        expected = BaggagePropagator::new().extract_with_context(&expected, &extractor);
    }
    assert_eq!(span(context), span(&expected), "{headers:?}");
    let mut injected = HeaderMap::new();
    replace(&TraceContextPropagator::new(), &expected, &mut injected);
    replace(&BaggagePropagator::new(), &expected, &mut injected);
    assert_eq!(inject(has_baggage, context), injected, "{headers:?}");
}

/// Returns `true` if a `traceparent` is valid, checked byte by byte.
fn is_valid(line: &[u8]) -> bool {
    let is_zero = |range: std::ops::Range<usize>| line[range].iter().all(|digit| *digit == b'0');
    line.len() >= 55
        && line[..55].iter().enumerate().all(|(at, byte)| match at {
            2 | 35 | 52 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
        && !line.starts_with(b"ff")
        && (line.len() == 55 || line[55] == b'-' && !line.starts_with(b"00"))
        && !is_zero(3..35)
        && !is_zero(36..52)
}
