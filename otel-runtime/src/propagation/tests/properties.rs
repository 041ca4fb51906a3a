//! Property tests: every propagator with arbitrary headers.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn id_strings() -> impl Strategy<Value = (u128, u64, bool)> {
    (1..=u128::MAX, 1..=u64::MAX, any::<bool>())
}

proptest! {
    #[test]
    fn any_span_survives_a_round_trip((trace_id, span_id, sampled) in id_strings()) {
        for (propagator, ..) in all() {
            let headers = written(&*propagator, &with_span(trace_id, span_id, sampled));
            let read = propagator.extract_with_context(&Context::new(), &headers);
            prop_assert_eq!(span(&read), (trace_id, span_id, sampled), "{:?}", headers);
            prop_assert_eq!(written(&*propagator, &read), headers);
        }
    }

    #[test]
    fn jaeger_baggage_survives_a_round_trip(value in any::<String>().prop_filter("too long", |value| value.len() < 1000)) {
        let context = Context::new().with_baggage([opentelemetry::KeyValue::new("key", value.clone())]);
        let jaeger = JaegerPropagator::new();
        let mut headers = HeaderMap::new();
        replace(&jaeger, &context, &mut headers);
        let read = jaeger.extract_with_context(&Context::new(), &headers.extractor());
        prop_assert_eq!(read.baggage().get("key").map(ToString::to_string), Some(value));
    }

    #[test]
    fn any_header_is_extracted_or_ignored(value in any::<String>()) {
        for (propagator, name, _) in all() {
            check_extraction(&*propagator, &headers([(name, &value)]))?;
        }
    }

    #[test]
    fn any_b3_headers_are_extracted_or_ignored(
        trace in "[0-9a-fA-F+]{0,33}", span in "[0-9a-f]{15,17}", sampled in "|.|true|false|1|0", flags in "|.|1",
    ) {
        let fields = [("x-b3-traceid", &trace), ("x-b3-spanid", &span), ("x-b3-sampled", &sampled), ("x-b3-flags", &flags)];
        let fields = fields.map(|(name, value)| (name, value.as_str()));
        check_extraction(&B3Propagator::multi(), &headers(fields))?;
    }

    #[test]
    fn a_modified_header_is_extracted_or_ignored(
        at in any::<Index>(), inserted in proptest::option::of(any::<char>()), removed in 0..4_usize,
    ) {
        for (propagator, name, value) in all() {
            let mut value: Vec<char> = value.chars().collect();
            let at = at.index(value.len());
            let end = value.len().min(at + removed);
            value.splice(at..end, inserted);
            check_extraction(&*propagator, &headers([(name, &String::from_iter(value))]))?;
        }
    }
}

/// Asserts that an extracted span is valid, and stays the same if injected and extracted again.
fn check_extraction(propagator: &dyn TextMapPropagator, headers: &Headers) -> Result<(), TestCaseError> {
    let read = propagator.extract_with_context(&Context::new(), headers);
    let state = SamplingState::from_context(&read);
    let (trace_id, span_id, _) = span(&read);
    prop_assert_eq!(trace_id == 0, span_id == 0, "{:?}", headers);
    let passed_on = written(propagator, &read);
    let again = propagator.extract_with_context(&Context::new(), &passed_on);
    prop_assert_eq!(span(&again), span(&read), "{:?} as {:?}", headers, passed_on);
    prop_assert_eq!(
        SamplingState::from_context(&again),
        state,
        "{:?} as {:?}",
        headers,
        passed_on
    );
    Ok(())
}
