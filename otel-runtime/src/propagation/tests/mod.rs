//! Tests common to all propagators, with a submodule per format and one of property tests.

mod b3;
mod google_cloud;
mod grpc_trace_bin;
mod jaeger;
mod ot_trace;
mod properties;
#[cfg(feature = "xray")]
mod xray;

use std::collections::HashMap;

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use tonic::metadata::MetadataMap;

use super::*;

type Headers = HashMap<String, String>;

const B3_TRACE: u128 = 0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7;
const B3_SPAN: u64 = 0x05e3_ac9a_4f6e_3b90;

fn headers<const N: usize>(fields: [(&str, &str); N]) -> Headers {
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Returns each propagator, with the name and the value of a header that it extracts.
fn all() -> Vec<(Box<dyn TextMapPropagator>, &'static str, &'static str)> {
    vec![
        (
            Box::new(TraceContextPropagator::new()),
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
        ),
        (
            Box::new(GrpcTraceBinPropagator::new()),
            "grpc-trace-bin",
            "AABL+S81d7NNpqPOkp0ADkc2ATTwZ6oLqQK3AgE",
        ),
        (
            Box::new(B3Propagator::single()),
            "b3",
            "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1-e457b5a2e4d86bd1",
        ),
        (Box::new(B3Propagator::multi()), "x-b3-spanid", "a2fb4a1d1a96d312"),
        (
            Box::new(JaegerPropagator::new()),
            "uber-trace-id",
            "80f198ee56343ba864fe8b2a57d3eff7%3A05e3ac9a4f6e3b90%3A0%3A1",
        ),
        (
            Box::new(GoogleCloudPropagator::new()),
            "x-cloud-trace-context",
            "105445aa7843bc8bf206b12000100000/1;o=1",
        ),
        #[cfg(feature = "xray")]
        (
            Box::new(XRayPropagator::new()),
            "x-amzn-trace-id",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        ),
    ]
}

fn with_span(trace_id: u128, span_id: u64, sampled: bool) -> Context {
    let flags = TraceFlags::default().with_sampled(sampled);
    let span = SpanContext::new(trace_id.into(), span_id.into(), flags, true, TraceState::NONE);
    Context::new().with_remote_span_context(span)
}

fn span(context: &Context) -> (u128, u64, bool) {
    let span = context.span();
    let span = span.span_context();
    (
        u128::from_be_bytes(span.trace_id().to_bytes()),
        u64::from_be_bytes(span.span_id().to_bytes()),
        span.is_sampled(),
    )
}

fn read(propagator: &impl TextMapPropagator, headers: &Headers) -> Option<(u128, u64, SamplingState)> {
    let context = propagator.extract_with_context(&Context::new(), headers);
    let (trace_id, span_id, sampled) = span(&context);
    let is_remote = context.span().span_context().is_remote();
    let state = SamplingState::from_context(&context);
    context.has_active_span().then(|| {
        assert!(is_remote);
        let is_sampled = matches!(state, Some(SamplingState::Accept | SamplingState::Debug));
        assert_eq!(sampled, is_sampled, "the sampled flag, as samplers see it");
        (trace_id, span_id, state.unwrap())
    })
}

fn written(propagator: &dyn TextMapPropagator, context: &Context) -> Headers {
    let mut headers = Headers::new();
    propagator.inject_context(context, &mut headers);
    headers
}

#[test]
fn a_remote_decision_applies_only_to_its_own_caller() {
    let b3 = B3Propagator::single();
    let header = |context: &Context, value: &str| b3.extract_with_context(context, &headers([("b3", value)]));
    let accepted = "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1";
    for before in ["d", "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-d"] {
        let debug = header(&Context::new(), before);
        assert_eq!(SamplingState::from_context(&debug), Some(SamplingState::Debug));
        let next = header(&debug, accepted);
        assert_eq!(
            SamplingState::from_context(&next),
            Some(SamplingState::Accept),
            "the next caller"
        );
        let ours = SpanContext::new(7.into(), 7.into(), TraceFlags::SAMPLED, false, TraceState::NONE);
        let untrusted = without_remote_parent(&debug);
        assert_eq!(SamplingState::from_context(&untrusted), None);
        let untrusted = untrusted.with_remote_span_context(ours);
        assert_eq!(
            SamplingState::from_context(&untrusted),
            Some(SamplingState::Accept),
            "a local span without the remote parent"
        );
    }
    let same = header(&header(&Context::new(), &accepted.replace("-1", "-d")), accepted);
    assert_eq!(
        SamplingState::from_context(&same),
        Some(SamplingState::Debug),
        "the same span, extracted twice"
    );
}

#[test]
fn debug_is_propagated_from_one_format_to_another() {
    let sent = headers([("uber-trace-id", "80f198ee56343ba864fe8b2a57d3eff7:05e3ac9a4f6e3b90:0:3")]);
    let context = JaegerPropagator::new().extract_with_context(&Context::new(), &sent);
    let b3 = written(&B3Propagator::single(), &context);
    assert_eq!(b3["b3"], "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-d");
    assert_eq!(written(&JaegerPropagator::new(), &context), sent);
}

#[test]
fn a_missing_or_malformed_header_does_not_replace_the_span() {
    let known = with_span(1, 2, true);
    for (propagator, name, _) in all() {
        for headers in [headers([]), headers([(name, "malformed")])] {
            let context = propagator.extract_with_context(&known, &headers);
            assert_eq!(span(&context), (1, 2, true), "{propagator:?} {headers:?}");
        }
    }
}

#[test]
fn trace_state_and_flags_from_another_propagator_are_not_overwritten() {
    let state = TraceState::from_key_value([("vendor", "1")]).unwrap();
    let trace_id = 0x1054_45aa_7843_bc8b_f206_b120_0010_0000_u128;
    let known = SpanContext::new(trace_id.into(), 1.into(), TraceFlags::SAMPLED, true, state.clone());
    let known = Context::new().with_remote_span_context(known);
    for value in [
        "105445aa7843bc8bf206b12000100000/1",
        "105445aa7843bc8bf206b12000100000/1;o=1",
    ] {
        let headers = headers([("x-cloud-trace-context", value)]);
        let context = GoogleCloudPropagator::new().extract_with_context(&known, &headers);
        let span = context.span();
        assert!(span.span_context().is_sampled(), "{value}");
        assert_eq!(*span.span_context().trace_state(), state, "{value}");
    }
}

#[test]
fn fields_are_the_injected_headers() {
    let fields = |propagator: &dyn TextMapPropagator| propagator.fields().map(ToOwned::to_owned).collect::<Vec<_>>();
    assert_eq!(fields(&TraceContextPropagator::new()), ["traceparent", "tracestate"]);
    assert_eq!(fields(&BaggagePropagator::new()), ["baggage"]);
    assert_eq!(fields(&GrpcTraceBinPropagator::new()), ["grpc-trace-bin"]);
    assert_eq!(
        fields(&OtTracePropagator::new()),
        ["ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled"]
    );
    assert_eq!(fields(&B3Propagator::default()), ["b3"]);
    assert_eq!(
        fields(&B3Propagator::multi()),
        ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"]
    );
    assert_eq!(fields(&JaegerPropagator::new()), ["uber-trace-id"]);
    assert_eq!(fields(&GoogleCloudPropagator::new()), ["x-cloud-trace-context"]);
    #[cfg(feature = "xray")]
    assert_eq!(fields(&XRayPropagator::new()), ["x-amzn-trace-id"]);
    for (propagator, ..) in all() {
        let written = written(&*propagator, &with_span(1, 2, true));
        assert!(
            written
                .keys()
                .all(|name| propagator.fields().any(|field| field == name))
        );
        assert!(
            self::written(&*propagator, &Context::new()).is_empty(),
            "an empty context injects nothing"
        );
    }
}

/// Also checks that a span left in the carrier by another context is replaced.
#[test]
fn every_propagator_works_with_every_carrier() {
    fn carry(mut carrier: impl Carrier) {
        for (propagator, name, value) in all() {
            carrier.injector().set(name, value.to_owned());
            let context = with_span(B3_TRACE, B3_SPAN, true);
            replace(&*propagator, &context, &mut carrier);
            let read = propagator.extract_with_context(&Context::new(), &carrier.extractor());
            assert_eq!(span(&read), (B3_TRACE, B3_SPAN, true), "{propagator:?}");
            replace(&*propagator, &Context::new(), &mut carrier);
            let read = propagator.extract_with_context(&Context::new(), &carrier.extractor());
            assert_eq!(
                span(&read),
                (B3_TRACE, B3_SPAN, true),
                "{propagator:?}: no span to replace it with"
            );
        }
    }
    use opentelemetry::propagation::Injector as _;
    carry(HeaderMap::new());
    carry(MetadataMap::new());
    carry(Headers::new());
}

#[test]
fn the_other_encoding_of_b3_is_replaced_too() {
    let mut headers = HeaderMap::new();
    let (single, multi) = (B3Propagator::single(), B3Propagator::multi());
    headers.insert("x-b3-parentspanid", HeaderValue::from_static("0020000000000001"));
    replace(&single, &with_span(1, 2, true), &mut headers);
    replace(&multi, &with_span(3, 4, false), &mut headers);
    assert_eq!(
        span(&single.extract_with_context(&Context::new(), &headers.extractor())),
        (3, 4, false)
    );
    assert_eq!(headers.len(), 3);
}

/// HTTP allows a caller or a proxy to split a list into several header lines.
#[test]
fn all_lines_of_tracestate_and_baggage_are_extracted() {
    let mut metadata = MetadataMap::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (name, line) in [
        ("traceparent", trace),
        ("tracestate", "rojo=1"),
        ("tracestate", "congo=2,lima=3"),
        ("baggage", "a=1"),
        ("baggage", "b=2;property"),
    ] {
        metadata.append(name, line.parse().unwrap());
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &metadata.extractor());
    let state = context.span().span_context().trace_state().header();
    assert_eq!(state, "rojo=1,congo=2,lima=3");
    let context = BaggagePropagator::new().extract_with_context(&context, &metadata.extractor());
    assert_eq!(context.baggage().len(), 2);
}
