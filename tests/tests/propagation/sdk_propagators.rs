//! The SDK's propagators and tracer with valid and invalid headers: each row is in
//! `docs/sdk-propagator-reports.md`. A row that fails has been fixed there.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::SdkTracerProvider;
use otel_runtime::propagation::{self, Carrier};
use tonic::metadata::MetadataMap;

const TRACE: &str = "12345678901234567890123456789012";
const VALID: &str = "00-12345678901234567890123456789012-1234567890123456-01";

fn sdk() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ])
}

fn passed_on(propagator: &dyn TextMapPropagator, headers: &[(&str, &str)]) -> HashMap<String, String> {
    let headers: HashMap<String, String> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let context = propagator.extract_with_context(&Context::new(), &headers);
    let mut sent = HashMap::new();
    propagator.inject_context(&context, &mut sent);
    sent
}

/// Returns a header as the SDK and as this crate pass it on. Empty if they do not.
fn both(name: &str, headers: &[(&str, &str)]) -> (String, String) {
    let get = |headers: HashMap<String, String>| headers.get(name).cloned().unwrap_or_default();
    let ours = propagation::from_names("tracecontext,baggage");
    (get(passed_on(&sdk(), headers)), get(passed_on(&ours, headers)))
}

#[test]
fn invalid_traceparents() {
    for invalid in [
        VALID.replace("-01", "-1"),
        VALID.replace("56-01", "5-01"),
        VALID.replacen("00-", "0-", 1),
        format!("{VALID}-"),
    ] {
        let (sdk, ours) = both("traceparent", &[("traceparent", &invalid)]);
        assert!(sdk.contains(TRACE), "{invalid}: {sdk}");
        assert_eq!(ours, "", "{invalid}");
    }
    let mut two = MetadataMap::new();
    two.append("traceparent", VALID.parse().unwrap());
    two.append("traceparent", VALID.replace(TRACE, &"1".repeat(32)).parse().unwrap());
    let context = sdk().extract_with_context(&Context::new(), &two.extractor());
    assert_eq!(context.span().span_context().trace_id().to_string(), TRACE);
    let ours = propagation::from_names("tracecontext");
    let context = ours.extract_with_context(&Context::new(), &two.extractor());
    assert!(!context.has_active_span());
}

#[test]
fn the_random_flag() {
    for (flags, seen) in [("03", "01"), ("02", "00")] {
        let received = VALID.replace("6-01", &format!("6-{flags}"));
        let (sdk, ours) = both("traceparent", &[("traceparent", &received)]);
        assert_eq!((&sdk[53..], &ours[53..]), (seen, flags));
    }
}

#[test]
fn an_empty_tracestate() {
    assert_eq!(passed_on(&sdk(), &[("traceparent", VALID)])["tracestate"], "");
    let ours = propagation::from_names("");
    assert!(!passed_on(&ours, &[("traceparent", VALID)]).contains_key("tracestate"));
}

#[test]
fn tracestates() {
    let members = |count: usize| (0..count).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
    let vendor = format!("t@{}=1", "v".repeat(15));
    for (received, seen, right) in [
        ("foo@@bar=1,bar=2", "", "foo@@bar=1,bar=2"),
        (&vendor[..], "", &vendor[..]),
        ("foo==baz", "foo=baz", ""),
        ("foo=", "foo=", ""),
        ("foo=a\tb", "foo=a\tb", ""),
        (&members(33), &members(32), ""),
    ] {
        let (sdk, ours) = both("tracestate", &[("traceparent", VALID), ("tracestate", received)]);
        assert_eq!((&sdk[..], &ours[..]), (seen, right), "{received}");
    }
}

#[test]
fn baggage() {
    for (received, seen, right) in [
        ("token=YWJjZA==", "token=YWJjZA", "token=YWJjZA=="),
        ("a=100%2525", "a=100%25", "a=100%2525"),
        ("a=x%5Cy", "a=x\\y", "a=x%5Cy"),
        ("a=1;p=x%2Cadmin%3Dtrue", "a=1;p=x,admin=true", "a=1;p=x%2Cadmin%3Dtrue"),
        ("a=%ff", "", "a=%ff"),
    ] {
        let (sdk, ours) = both("baggage", &[("baggage", received)]);
        assert_eq!((&sdk[..], &ours[..]), (seen, right), "{received}");
    }
    let propagator = BaggagePropagator::new();
    let headers = HashMap::from([("baggage".to_owned(), "a=1;p=x,admin=true".to_owned())]);
    let context = propagator.extract_with_context(&Context::new(), &headers);
    assert_eq!(context.baggage().get("admin").unwrap().as_str(), "true");
}

#[test]
fn the_flags_of_a_span() {
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let root = Context::new().with_span(tracer.start_with_context("root", &Context::new()));
    assert_eq!(root.span().span_context().trace_flags().to_u8(), 1, "its id is random");
    let ours = propagation::TraceContextPropagator::new();
    for (flags, seen) in [("02", 0), ("03", 3)] {
        let received = VALID.replace("6-01", &format!("6-{flags}"));
        let headers = HashMap::from([("traceparent".to_owned(), received)]);
        let parent = ours.extract_with_context(&Context::new(), &headers);
        let child = Context::new().with_span(tracer.start_with_context("child", &parent));
        assert_eq!(child.span().span_context().trace_flags().to_u8(), seen, "{flags}");
    }
}
