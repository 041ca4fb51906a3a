//! What all propagators have in common, and what the specifications of their formats give as examples.

use std::collections::HashMap;

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use proptest::prelude::*;
use proptest::sample::Index;
use tonic::metadata::MetadataMap;

use super::*;

type Headers = HashMap<String, String>;

const B3_TRACE: u128 = 0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7;
const B3_SPAN: u64 = 0x05e3_ac9a_4f6e_3b90;

fn headers<const N: usize>(fields: [(&str, &str); N]) -> Headers {
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Each propagator, with a header that it reads, and its value.
fn all() -> Vec<(Box<dyn TextMapPropagator>, &'static str, &'static str)> {
    vec![
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
    let state = SamplingState::of(&context);
    context.has_active_span().then(|| {
        assert!(is_remote);
        let is_sampled = matches!(state, Some(SamplingState::Accept | SamplingState::Debug));
        assert_eq!(sampled, is_sampled, "what samplers see");
        (trace_id, span_id, state.unwrap())
    })
}

fn written(propagator: &dyn TextMapPropagator, context: &Context) -> Headers {
    let mut headers = Headers::new();
    propagator.inject_context(context, &mut headers);
    headers
}

/// The examples of <https://github.com/openzipkin/b3-propagation>, all of them.
#[test]
fn b3_reads_the_examples_of_its_specification() {
    let b3 = B3Propagator::single();
    let single = |value| read(&b3, &headers([("b3", value)]));
    let expected = |state| Some((B3_TRACE, B3_SPAN, state));
    for (value, state) in [
        (
            "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1",
            SamplingState::Accept,
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1-e457b5a2e4d86bd1",
            SamplingState::Accept,
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-d",
            SamplingState::Debug,
        ),
        // Not examples, but grammar: the last two fields are optional.
        (
            "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-0",
            SamplingState::Deny,
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90",
            SamplingState::Defer,
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-e457b5a2e4d86bd1",
            SamplingState::Defer,
        ),
    ] {
        assert_eq!(single(value), expected(state), "{value}");
    }
    assert_eq!(
        single("64fe8b2a57d3eff7-05e3ac9a4f6e3b90-1"),
        Some((0x64fe_8b2a_57d3_eff7, B3_SPAN, SamplingState::Accept)),
        "a trace id of 64 bits"
    );
    let multi = headers([
        ("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7"),
        ("x-b3-parentspanid", "05e3ac9a4f6e3b90"),
        ("x-b3-spanid", "e457b5a2e4d86bd1"),
        ("x-b3-sampled", "1"),
    ]);
    assert_eq!(
        read(&b3, &multi),
        Some((B3_TRACE, 0xe457_b5a2_e4d8_6bd1, SamplingState::Accept))
    );
    let multi = [
        ("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124"),
        ("x-b3-spanid", "a2fb4a1d1a96d312"),
    ];
    let expected = |state| Some((0x463a_c35c_9f64_13ad_4848_5a39_53bb_6124, 0xa2fb_4a1d_1a96_d312, state));
    assert_eq!(read(&b3, &headers(multi)), expected(SamplingState::Defer));
    for (name, value, state) in [
        ("x-b3-sampled", "0", SamplingState::Deny),
        ("x-b3-sampled", "false", SamplingState::Deny),
        ("x-b3-sampled", "true", SamplingState::Accept),
        ("x-b3-flags", "1", SamplingState::Debug),
        ("x-b3-flags", "0", SamplingState::Defer),
        ("x-b3-parentspanid", "0020000000000001", SamplingState::Defer),
    ] {
        let headers = headers([multi[0], multi[1], (name, value)]);
        assert_eq!(read(&b3, &headers), expected(state), "{name}: {value}");
    }
}

#[test]
fn b3_reads_the_single_header_first() {
    let mut both = headers([
        ("b3", "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1"),
        ("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124"),
        ("x-b3-spanid", "a2fb4a1d1a96d312"),
    ]);
    for propagator in [B3Propagator::single(), B3Propagator::multi()] {
        assert_eq!(read(&propagator, &both).unwrap().1, B3_SPAN);
    }
    both.insert("b3".into(), "malformed".into());
    assert_eq!(read(&B3Propagator::single(), &both).unwrap().1, 0xa2fb_4a1d_1a96_d312);
}

#[test]
fn b3_passes_on_what_it_read() {
    for value in [
        "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1",
        "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-0",
        "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-d",
        "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90",
        "0",
        "1",
        "d",
    ] {
        let (single, multi) = (B3Propagator::single(), B3Propagator::multi());
        let sent = headers([("b3", value)]);
        let context = single.extract_with_context(&Context::new(), &sent);
        assert_eq!(written(&single, &context), sent);

        let as_multi = written(&multi, &context);
        let context = multi.extract_with_context(&Context::new(), &as_multi);
        assert_eq!(written(&single, &context), sent, "by way of {as_multi:?}");
        assert!(
            !as_multi.contains_key("x-b3-flags") || !as_multi.contains_key("x-b3-sampled"),
            "one implies the other"
        );
        assert!(as_multi.keys().all(|key| multi.fields().any(|field| field == key)));
    }
}

#[test]
fn b3_has_debug_for_the_trace_and_defers_until_a_span_has_been_started() {
    let b3 = B3Propagator::single();
    let child = |parent: &Context, trace_id: u128, sampled| {
        let flags = TraceFlags::default().with_sampled(sampled);
        let span = SpanContext::new(trace_id.into(), 7.into(), flags, false, TraceState::NONE);
        parent.with_remote_span_context(span)
    };
    let header = |value| b3.extract_with_context(&Context::new(), &headers([("b3", value)]));

    let debug = header("80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-d");
    assert_eq!(
        SamplingState::of(&child(&debug, B3_TRACE, true)),
        Some(SamplingState::Debug)
    );
    assert_eq!(
        SamplingState::of(&child(&debug, 1, true)),
        Some(SamplingState::Accept),
        "another trace"
    );
    assert_eq!(
        SamplingState::of(&child(&header("d"), 1, true)),
        Some(SamplingState::Debug),
        "it begins here"
    );

    let deferred = header("80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90");
    assert_eq!(
        SamplingState::of(&child(&deferred, B3_TRACE, true)),
        Some(SamplingState::Accept)
    );
    assert_eq!(
        SamplingState::of(&child(&deferred, B3_TRACE, false)),
        Some(SamplingState::Deny)
    );
    assert_eq!(
        SamplingState::of(&child(&header("0"), 1, true)),
        Some(SamplingState::Accept)
    );
    assert_eq!(SamplingState::of(&Context::new()), None);
}

#[test]
fn what_a_caller_said_goes_with_the_caller() {
    let b3 = B3Propagator::single();
    let header = |context: &Context, value: &str| b3.extract_with_context(context, &headers([("b3", value)]));
    let accepted = "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1";
    for before in ["d", "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-d"] {
        let debug = header(&Context::new(), before);
        assert_eq!(SamplingState::of(&debug), Some(SamplingState::Debug));
        let next = header(&debug, accepted);
        assert_eq!(SamplingState::of(&next), Some(SamplingState::Accept), "the next caller");
        let ours = SpanContext::new(7.into(), 7.into(), TraceFlags::SAMPLED, false, TraceState::NONE);
        let stranger = without_caller(&debug);
        assert_eq!(SamplingState::of(&stranger), None);
        let stranger = stranger.with_remote_span_context(ours);
        assert_eq!(SamplingState::of(&stranger), Some(SamplingState::Accept), "a stranger");
    }
    let same = header(&header(&Context::new(), &accepted.replace("-1", "-d")), accepted);
    assert_eq!(
        SamplingState::of(&same),
        Some(SamplingState::Debug),
        "of two propagators"
    );
}

#[test]
fn b3_rejects_what_is_malformed() {
    for value in [
        "",
        "-",
        "---",
        "2",
        "D",
        "80f198ee56343ba864fe8b2a57d3eff7",
        "80f198ee56343ba864fe8b2a57d3eff7-",
        "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-",
        "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-2",
        "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1-",
        "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1-e457b5a2e4d86bd1-1",
        "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-e457b5a2e4d86bd1-1",
        "80F198EE56343BA864FE8B2A57D3EFF7-05E3AC9A4F6E3B90-1",
        "+0f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1",
        "80f198ee56343ba864fe8b2a57d3eff-05e3ac9a4f6e3b90-1",
        "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b9-1",
        "00000000000000000000000000000000-05e3ac9a4f6e3b90-1",
        "80f198ee56343ba864fe8b2a57d3eff7-0000000000000000-1",
    ] {
        let context = B3Propagator::single().extract_with_context(&Context::new(), &headers([("b3", value)]));
        assert_eq!(SamplingState::of(&context), None, "{value:?}");
    }
    for fields in [
        [
            ("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7"),
            ("x-b3-sampled", "1"),
        ],
        [("x-b3-spanid", "05e3ac9a4f6e3b90"), ("x-b3-sampled", "1")],
        [("x-b3-sampled", "yes"), ("x-b3-flags", "0")],
    ] {
        let context = B3Propagator::multi().extract_with_context(&Context::new(), &headers(fields));
        assert_eq!(SamplingState::of(&context), None, "{fields:?}");
    }
}

/// <https://www.jaegertracing.io/sdk-migration/#propagation-format> has a grammar and no examples.
#[test]
fn jaeger_reads_what_its_specification_allows() {
    let jaeger = JaegerPropagator::new();
    let accept = SamplingState::Accept;
    for (value, expected) in [
        (
            "80f198ee56343ba864fe8b2a57d3eff7:05e3ac9a4f6e3b90:0:1",
            (B3_TRACE, B3_SPAN, accept),
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7:05e3ac9a4f6e3b90:e457b5a2e4d86bd1:01",
            (B3_TRACE, B3_SPAN, accept),
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7:05e3ac9a4f6e3b90:0:0",
            (B3_TRACE, B3_SPAN, SamplingState::Deny),
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7:05e3ac9a4f6e3b90:0:3",
            (B3_TRACE, B3_SPAN, SamplingState::Debug),
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7:05e3ac9a4f6e3b90:0:2",
            (B3_TRACE, B3_SPAN, SamplingState::Deny),
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7:05e3ac9a4f6e3b90:0:09",
            (B3_TRACE, B3_SPAN, accept),
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7:05e3ac9a4f6e3b90::1",
            (B3_TRACE, B3_SPAN, accept),
        ),
        (
            "80F198EE56343BA864FE8B2A57D3EFF7:05E3AC9A4F6E3B90:0:1",
            (B3_TRACE, B3_SPAN, accept),
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7%3A05e3ac9a4f6e3b90%3a0%3A1",
            (B3_TRACE, B3_SPAN, accept),
        ),
        ("a:b:c:1", (0xa, 0xb, accept)),
    ] {
        assert_eq!(
            read(&jaeger, &headers([("uber-trace-id", value)])),
            Some(expected),
            "{value}"
        );
    }
    for value in [
        "",
        ":::",
        "1:2:3",
        "1:2:0:",
        "1:2:0:1:1",
        "1:2:0:100",
        "1:2:0:g",
        "1:2:0:+1",
        "0:2:0:1",
        "1:0:0:1",
        ":2:0:1",
        "+1:2:0:1",
        "1:2:parent:1",
        "180f198ee56343ba864fe8b2a57d3eff7:2:0:1",
        "1:105e3ac9a4f6e3b90:0:1",
        "000000000000000000000000000000001:2:0:1",
        "1:00000000000000002:0:1",
        "1:2:0:1%ff",
    ] {
        assert_eq!(read(&jaeger, &headers([("uber-trace-id", value)])), None, "{value:?}");
    }
}

#[test]
fn jaeger_carries_baggage() {
    let jaeger = JaegerPropagator::new();
    let known = Context::new().with_baggage([opentelemetry::KeyValue::new("known", "1")]);
    let sent = headers([
        ("uberctx-plain", "1"),
        ("uberctx-space", "a%20b+c%2Bd"),
        ("uberctx-umlaut", "gr%C3%BC%C3%9Fe"),
        ("uberctx-broken", "%ff"),
        ("uberctx-not a key", "1"),
        ("uberctx-", "1"),
        ("uber-trace-id", "malformed"),
        ("üü", "1"),
    ]);
    let context = jaeger.extract_with_context(&known, &sent);
    let get = |key| context.baggage().get(key).map(ToString::to_string);
    assert_eq!(get("known").as_deref(), Some("1"), "that of other propagators stays");
    assert_eq!(get("plain").as_deref(), Some("1"));
    assert_eq!(get("space").as_deref(), Some("a b c+d"));
    assert_eq!(get("umlaut").as_deref(), Some("grüße"));
    assert_eq!(context.baggage().len(), 4);

    let passed_on = written(&jaeger, &context);
    assert_eq!(passed_on.len(), 4, "without a span too");
    assert_eq!(passed_on["uberctx-space"], "a%20b%20c%2Bd");
    assert_eq!(passed_on["uberctx-umlaut"], "gr%C3%BC%C3%9Fe");

    let mut map = HeaderMap::new();
    map.insert("UberCtx-Tenant", HeaderValue::from_static("blue"));
    let context = jaeger.extract_with_context(&Context::new(), &map.extractor());
    assert_eq!(context.baggage().get("tenant").unwrap().as_str(), "blue");
}

#[test]
fn debug_goes_from_one_format_to_another() {
    let sent = headers([("uber-trace-id", "80f198ee56343ba864fe8b2a57d3eff7:05e3ac9a4f6e3b90:0:3")]);
    let context = JaegerPropagator::new().extract_with_context(&Context::new(), &sent);
    let b3 = written(&B3Propagator::single(), &context);
    assert_eq!(b3["b3"], "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-d");
    assert_eq!(written(&JaegerPropagator::new(), &context), sent);
}

/// The first is the example that Google's documentation of the header gave; the rest is its grammar.
#[test]
fn google_cloud_reads_what_its_documentation_allows() {
    let google = GoogleCloudPropagator::new();
    let trace_id = 0x1054_45aa_7843_bc8b_f206_b120_0010_0000;
    for (value, span_id, state) in [
        ("105445aa7843bc8bf206b12000100000/1;o=1", 1, SamplingState::Accept),
        ("105445aa7843bc8bf206b12000100000/1;o=0", 1, SamplingState::Deny),
        ("105445aa7843bc8bf206b12000100000/1;o=2", 1, SamplingState::Deny),
        ("105445aa7843bc8bf206b12000100000/1;o=3", 1, SamplingState::Accept),
        ("105445aa7843bc8bf206b12000100000/1", 1, SamplingState::Defer),
        ("105445AA7843BC8BF206B12000100000/001", 1, SamplingState::Defer),
        (
            "105445aa7843bc8bf206b12000100000/18446744073709551615;o=1",
            u64::MAX,
            SamplingState::Accept,
        ),
    ] {
        let headers = headers([("x-cloud-trace-context", value)]);
        assert_eq!(read(&google, &headers), Some((trace_id, span_id, state)), "{value}");
    }
    for value in [
        "",
        "/",
        "105445aa7843bc8bf206b12000100000",
        "105445aa7843bc8bf206b12000100000/",
        "105445aa7843bc8bf206b12000100000/0;o=1",
        "105445aa7843bc8bf206b12000100000/+1;o=1",
        "105445aa7843bc8bf206b12000100000/-1;o=1",
        "105445aa7843bc8bf206b12000100000/a;o=1",
        "105445aa7843bc8bf206b12000100000/18446744073709551616;o=1",
        "105445aa7843bc8bf206b12000100000/1;",
        "105445aa7843bc8bf206b12000100000/1;o=",
        "105445aa7843bc8bf206b12000100000/1;o=x",
        "105445aa7843bc8bf206b12000100000/1;o=1;o=1",
        "105445aa7843bc8bf206b1200010000/1;o=1",
        "00000000000000000000000000000000/1;o=1",
    ] {
        assert_eq!(
            read(&google, &headers([("x-cloud-trace-context", value)])),
            None,
            "{value:?}"
        );
    }
}

/// The examples of <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.
#[cfg(feature = "xray")]
#[test]
fn xray_reads_the_examples_of_its_documentation() {
    let xray = XRayPropagator::new();
    let (trace_id, span_id) = (0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793, 0x5399_5c3f_42cd_8ad8);
    let read = |value| read(&xray, &headers([("x-amzn-trace-id", value)]));
    for (value, state) in [
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            SamplingState::Accept,
        ),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
            SamplingState::Deny,
        ),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?",
            SamplingState::Defer,
        ),
        (
            "Sampled=1;Parent=53995c3f42cd8ad8;Root=1-5759e988-bd862e3fe1be46a994272793",
            SamplingState::Accept,
        ),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            SamplingState::Defer,
        ),
    ] {
        assert_eq!(read(value), Some((trace_id, span_id, state)), "{value}");
    }
    for value in [
        // As a load balancer sends it. It has no span that ours could be children of.
        "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
        "",
        "Root=;Parent=;Sampled=",
        "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        "Root=1-5759e988-bd862e3fe1be46a99427279;Parent=53995c3f42cd8ad8;Sampled=1",
        "Root=1-+759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        "Root=1-00000000-000000000000000000000000;Parent=53995c3f42cd8ad8;Sampled=1",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=0000000000000000;Sampled=1",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=3995c3f42cd8ad8;Sampled=1",
    ] {
        assert_eq!(read(value), None, "{value:?}");
    }
}

#[cfg(feature = "xray")]
#[test]
fn xray_decides_once_and_adds_no_field_to_the_header() {
    let xray = XRayPropagator::new();
    let deferred = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?";
    let sent = headers([("x-amzn-trace-id", deferred)]);
    let context = xray.extract_with_context(&Context::new(), &sent);
    assert_eq!(context.span().span_context().trace_flags(), TraceFlags::NOT_SAMPLED);
    assert_eq!(written(&xray, &context), sent);

    let lineage =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:1|68fd508a:5";
    let sent = headers([("x-amzn-trace-id", lineage)]);
    let context = xray.extract_with_context(&Context::new(), &sent);
    assert_eq!(written(&xray, &context), sent, "what others put there goes on");

    for (key, value) in [("vendor", "1;Sampled"), ("sampled", "0"), ("root", "1")] {
        let state = TraceState::from_key_value([(key, value)]).unwrap();
        let span = SpanContext::new(1.into(), 2.into(), TraceFlags::SAMPLED, true, state);
        let header = &written(&xray, &Context::new().with_remote_span_context(span))["x-amzn-trace-id"];
        assert_eq!(
            header,
            "Root=1-00000000-000000000000000000000001;Parent=0000000000000002;Sampled=1"
        );
    }
}

#[test]
fn a_span_known_already_stays_where_there_is_none_or_a_malformed_one() {
    let known = with_span(1, 2, true);
    for (propagator, name, _) in all() {
        for headers in [headers([]), headers([(name, "malformed")])] {
            let context = propagator.extract_with_context(&known, &headers);
            assert_eq!(span(&context), (1, 2, true), "{propagator:?} {headers:?}");
        }
    }
}

#[test]
fn what_another_propagator_read_of_the_same_span_is_kept() {
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
fn fields_are_those_it_writes() {
    let fields = |propagator: &dyn TextMapPropagator| propagator.fields().map(ToOwned::to_owned).collect::<Vec<_>>();
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
            "nothing of nothing"
        );
    }
}

/// The carriers are the same to a propagator, and what another context left in them is replaced.
#[test]
fn every_carrier_carries() {
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
                "{propagator:?}: nothing to replace it with"
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

/// A caller, or a proxy on the way, may write one list in several lines.
#[test]
fn all_lines_of_tracestate_and_baggage_are_read() {
    use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

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

fn id_strings() -> impl Strategy<Value = (u128, u64, bool)> {
    (1..=u128::MAX, 1..=u64::MAX, any::<bool>())
}

proptest! {
    #[test]
    fn any_span_comes_back((trace_id, span_id, sampled) in id_strings()) {
        for (propagator, ..) in all() {
            let headers = written(&*propagator, &with_span(trace_id, span_id, sampled));
            let read = propagator.extract_with_context(&Context::new(), &headers);
            prop_assert_eq!(span(&read), (trace_id, span_id, sampled), "{:?}", headers);
            prop_assert_eq!(written(&*propagator, &read), headers);
        }
    }

    #[test]
    fn jaeger_baggage_comes_back(value in any::<String>().prop_filter("too long", |value| value.len() < 1000)) {
        let context = Context::new().with_baggage([opentelemetry::KeyValue::new("key", value.clone())]);
        let jaeger = JaegerPropagator::new();
        let mut headers = HeaderMap::new();
        replace(&jaeger, &context, &mut headers);
        let read = jaeger.extract_with_context(&Context::new(), &headers.extractor());
        prop_assert_eq!(read.baggage().get("key").map(ToString::to_string), Some(value));
    }

    #[test]
    fn any_value_is_read_or_not(value in any::<String>()) {
        for (propagator, name, _) in all() {
            is_read_or_not(&*propagator, &headers([(name, &value)]))?;
        }
    }

    #[test]
    fn any_values_of_b3_are_read_or_not(
        trace in "[0-9a-fA-F+]{0,33}", span in "[0-9a-f]{15,17}", sampled in "|.|true|false|1|0", flags in "|.|1",
    ) {
        let fields = [("x-b3-traceid", &trace), ("x-b3-spanid", &span), ("x-b3-sampled", &sampled), ("x-b3-flags", &flags)];
        let fields = fields.map(|(name, value)| (name, value.as_str()));
        is_read_or_not(&B3Propagator::multi(), &headers(fields))?;
    }

    #[test]
    fn a_changed_value_is_read_or_not(
        at in any::<Index>(), inserted in proptest::option::of(any::<char>()), removed in 0..4_usize,
    ) {
        for (propagator, name, value) in all() {
            let mut value: Vec<char> = value.chars().collect();
            let at = at.index(value.len());
            let end = value.len().min(at + removed);
            value.splice(at..end, inserted);
            is_read_or_not(&*propagator, &headers([(name, &String::from_iter(value))]))?;
        }
    }
}

/// What is read is a span, and what is passed on of it is read as the same.
fn is_read_or_not(propagator: &dyn TextMapPropagator, headers: &Headers) -> Result<(), TestCaseError> {
    let read = propagator.extract_with_context(&Context::new(), headers);
    let state = SamplingState::of(&read);
    let (trace_id, span_id, _) = span(&read);
    prop_assert_eq!(trace_id == 0, span_id == 0, "{:?}", headers);
    let passed_on = written(propagator, &read);
    let again = propagator.extract_with_context(&Context::new(), &passed_on);
    prop_assert_eq!(span(&again), span(&read), "{:?} as {:?}", headers, passed_on);
    prop_assert_eq!(SamplingState::of(&again), state, "{:?} as {:?}", headers, passed_on);
    Ok(())
}
