use opentelemetry::KeyValue;
use proptest::prelude::*;

use super::*;

const TRACE: u128 = 0x64fe_8b2a_57d3_eff7;
const SPAN: u64 = 0xe457_b5a2_e4d8_6bd1;

#[test]
fn the_headers_of_opentelemetrys_propagators_are_extracted() {
    for (trace, span, sampled, expected) in [
        (
            "64fe8b2a57d3eff7",
            "e457b5a2e4d86bd1",
            Some("true"),
            Some((TRACE, SPAN, SamplingState::Accept)),
        ),
        (
            "64fe8b2a57d3eff7",
            "e457b5a2e4d86bd1",
            Some("1"),
            Some((TRACE, SPAN, SamplingState::Accept)),
        ),
        (
            "64fe8b2a57d3eff7",
            "e457b5a2e4d86bd1",
            Some("True"),
            Some((TRACE, SPAN, SamplingState::Accept)),
        ),
        (
            "64fe8b2a57d3eff7",
            "e457b5a2e4d86bd1",
            Some("false"),
            Some((TRACE, SPAN, SamplingState::Deny)),
        ),
        (
            "64fe8b2a57d3eff7",
            "e457b5a2e4d86bd1",
            Some("0"),
            Some((TRACE, SPAN, SamplingState::Deny)),
        ),
        (
            "64fe8b2a57d3eff7",
            "e457b5a2e4d86bd1",
            None,
            Some((TRACE, SPAN, SamplingState::Defer)),
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7",
            "05e3ac9a4f6e3b90",
            Some("true"),
            Some((B3_TRACE, B3_SPAN, SamplingState::Accept)),
        ),
        // The basic tracer for Python does not pad.
        ("a", "b", Some("true"), Some((10, 11, SamplingState::Accept))),
        ("64fe8b2a57d3eff7", "e457b5a2e4d86bd1", Some("maybe"), None),
        ("64fe8b2a57d3eff7", "0000000000000000", Some("true"), None),
        ("0000000000000000", "e457b5a2e4d86bd1", Some("true"), None),
        ("64fe8b2a57d3eff7", "", Some("true"), None),
        ("64fe8b2a57d3efg7", "e457b5a2e4d86bd1", Some("true"), None),
        (
            "080f198ee56343ba864fe8b2a57d3eff7",
            "05e3ac9a4f6e3b90",
            Some("true"),
            None,
        ),
    ] {
        let mut sent = headers([("ot-tracer-traceid", trace), ("ot-tracer-spanid", span)]);
        sent.extend(sampled.map(|sampled| ("ot-tracer-sampled".to_owned(), sampled.to_owned())));
        assert_eq!(read(&OtTracePropagator::new(), &sent), expected, "{sent:?}");
    }
}

#[test]
fn the_last_64_bits_of_the_trace_id_are_injected() {
    for (sampled, word) in [(true, "true"), (false, "false")] {
        let sent = written(&OtTracePropagator::new(), &with_span(B3_TRACE, B3_SPAN, sampled));
        let expected = headers([
            ("ot-tracer-traceid", "64fe8b2a57d3eff7"),
            ("ot-tracer-spanid", "05e3ac9a4f6e3b90"),
            ("ot-tracer-sampled", word),
        ]);
        assert_eq!(sent, expected);
    }
    let deferred = headers([
        ("ot-tracer-traceid", "64fe8b2a57d3eff7"),
        ("ot-tracer-spanid", "e457b5a2e4d86bd1"),
    ]);
    let context = OtTracePropagator::new().extract_with_context(&Context::new(), &deferred);
    assert_eq!(written(&OtTracePropagator::new(), &context), deferred);
}

#[test]
fn a_span_that_trace_context_has_extracted_keeps_its_trace_id() {
    let traceparent = "00-80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-03";
    let mut sent = headers([("traceparent", traceparent), ("tracestate", "a=1")]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &sent);
    sent.extend(written(&OtTracePropagator::new(), &context));
    let again = OtTracePropagator::new().extract_with_context(&context, &sent);
    assert_eq!(
        written(&TraceContextPropagator::new(), &again)["traceparent"],
        traceparent
    );
    assert_eq!(written(&TraceContextPropagator::new(), &again)["tracestate"], "a=1");
    sent.insert("ot-tracer-spanid".to_owned(), "e457b5a2e4d86bd1".to_owned());
    let other = OtTracePropagator::new().extract_with_context(&context, &sent);
    assert_eq!(span(&other), (TRACE, SPAN, true), "another span");
}

#[test]
fn baggage_is_propagated_beside_a_span() {
    let entries = [
        KeyValue::new("tenant", "blue = sky"),
        KeyValue::new("lost", "Am\u{e9}lie"),
        KeyValue::new("also", "a "),
    ];
    let baggage = Context::new().with_baggage(entries.clone());
    assert!(written(&OtTracePropagator::new(), &baggage).is_empty(), "no span");
    let context = with_span(TRACE, SPAN, true).with_baggage(entries);
    let mut sent = HeaderMap::new();
    replace(&OtTracePropagator::new(), &context, &mut sent);
    assert_eq!(sent["ot-baggage-tenant"], "blue = sky");
    assert_eq!(sent.len(), 4, "values that are not printable ASCII are dropped");
    let context = OtTracePropagator::new().extract_with_context(&Context::new(), &sent.extractor());
    assert_eq!(context.baggage().get("tenant").unwrap().as_str(), "blue = sky");
    sent.remove("ot-tracer-traceid");
    let context = OtTracePropagator::new().extract_with_context(&Context::new(), &sent.extractor());
    assert!(context.baggage().is_empty());
}

proptest! {
    #[test]
    fn any_headers_are_extracted_or_ignored(trace in "[0-9a-f+]{0,33}", span_id in "[0-9a-f]{0,17}", sampled in any::<String>()) {
        let sent = headers([("ot-tracer-traceid", &trace), ("ot-tracer-spanid", &span_id), ("ot-tracer-sampled", &sampled)]);
        let propagator = OtTracePropagator::new();
        let context = propagator.extract_with_context(&Context::new(), &sent);
        let passed_on = written(&propagator, &context);
        let again = propagator.extract_with_context(&Context::new(), &passed_on);
        prop_assert_eq!(span(&again).1, span(&context).1);
        prop_assert_eq!(written(&propagator, &again), passed_on);
    }
}
