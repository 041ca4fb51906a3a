//! Fuzz target: extraction and injection of the caller's context, in all formats.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceId};

use super::headers;
use crate::propagation::names::parse;
use crate::propagation::{
    B3Propagator, BaggagePropagator, Carrier, GoogleCloudPropagator, GrpcTraceBinPropagator, JaegerPropagator, Limited,
    OtTracePropagator, SamplingState, TraceContextPropagator, replace,
};

/// Checks that a span context is extracted completely or not at all, and survives a round trip.
///
/// The injected headers must be within the limits.
pub fn check(bytes: &[u8]) {
    let headers = headers(bytes);
    for propagator in all() {
        let extracted = extract(&*propagator, &headers);
        assert_valid(&extracted);
        let injected = inject(&*propagator, &extracted);
        assert_within_limits(&injected);
        let again = extract(&*propagator, &injected);
        assert_eq!(span(&again), span(&extracted), "{propagator:?}: {injected:?}");
        assert_eq!(
            SamplingState::from_context(&again),
            SamplingState::from_context(&extracted),
            "{propagator:?}: {injected:?}"
        );
    }
    // The format has half of the trace id.
    let ot_trace = OtTracePropagator::new();
    let extracted = extract(&ot_trace, &headers);
    assert_valid(&extracted);
    let injected = inject(&ot_trace, &extracted);
    assert_within_limits(&injected);
    assert_eq!(inject(&ot_trace, &extract(&ot_trace, &injected)), injected);
    assert_names_round_trip(&String::from_utf8_lossy(bytes));
}

/// Checks that a parsed list of names, written again, parses to the same names without a warning.
fn assert_names_round_trip(list: &str) {
    let (names, _) = parse(list);
    assert!(!names.is_empty() || list.to_lowercase().contains("none"), "{list:?}");
    if !names.is_empty() {
        assert_eq!(parse(&names.join(",")), (names, None));
    }
}

fn all() -> Vec<Box<dyn TextMapPropagator>> {
    vec![
        Box::new(B3Propagator::single()),
        Box::new(B3Propagator::multi()),
        Box::new(JaegerPropagator::new()),
        Box::new(GoogleCloudPropagator::new()),
        Box::new(GrpcTraceBinPropagator::new()),
        #[cfg(feature = "xray")]
        Box::new(crate::propagation::XRayPropagator::new()),
        Box::new(BaggagePropagator::new()),
        Box::new(TraceContextPropagator::new()),
        Box::new(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ])),
    ]
}

fn extract(propagator: &dyn TextMapPropagator, headers: &HeaderMap) -> Context {
    propagator.extract_with_context(&Context::new(), &Limited(headers.extractor()))
}

fn inject(propagator: &dyn TextMapPropagator, context: &Context) -> HeaderMap {
    let mut headers = HeaderMap::new();
    replace(propagator, context, &mut headers);
    headers
}

fn span(context: &Context) -> (TraceId, SpanId, bool) {
    let span: &SpanContext = &context.span().span_context().clone();
    (span.trace_id(), span.span_id(), span.is_sampled())
}

fn assert_valid(context: &Context) {
    let (trace_id, span_id, is_sampled) = span(context);
    assert_eq!(trace_id == TraceId::INVALID, span_id == SpanId::INVALID);
    if trace_id == TraceId::INVALID {
        assert!(!context.has_active_span());
    } else {
        assert!(context.span().span_context().is_remote());
        let state = SamplingState::from_context(context).unwrap();
        assert_eq!(
            is_sampled,
            matches!(state, SamplingState::Accept | SamplingState::Debug)
        );
    }
    assert!(context.baggage().len() <= 64);
}

fn assert_within_limits(headers: &HeaderMap) {
    for (name, members, bytes) in [("baggage", 64, 8192), ("tracestate", 32, 4096)] {
        if let Some(list) = headers.get(name) {
            assert!(list.len() <= bytes, "{list:?}");
            assert!(
                list.as_bytes().split(|byte| *byte == b',').count() <= members,
                "{list:?}"
            );
        }
    }
    let prefixed = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        let key = name
            .strip_prefix("uberctx-")
            .or_else(|| name.strip_prefix("ot-baggage-"))?;
        Some(key.len() + value.len())
    });
    assert!(prefixed.sum::<usize>() <= 8192, "{headers:?}");
    // Servers accept 16 KiB of headers; 3 KiB must remain for other metadata. HTTP/2 counts 32
    // bytes of overhead for each header.
    let size = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32);
    assert!(size.sum::<usize>() <= 13 * 1024, "{headers:?}");
}
