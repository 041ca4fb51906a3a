//! Headers allowed by Jaeger's specification.

use super::*;

/// Covers the grammar of <https://www.jaegertracing.io/sdk-migration/#propagation-format>.
#[test]
fn jaeger_extracts_only_specified_headers() {
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
fn jaeger_propagates_baggage() {
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
    assert_eq!(get("known").as_deref(), Some("1"), "baggage of other propagators stays");
    assert_eq!(get("plain").as_deref(), Some("1"));
    assert_eq!(get("space").as_deref(), Some("a b c+d"));
    assert_eq!(get("umlaut").as_deref(), Some("grüße"));
    assert_eq!(context.baggage().len(), 4);

    let passed_on = written(&jaeger, &context);
    assert_eq!(passed_on.len(), 4, "baggage is injected without a span, too");
    assert_eq!(passed_on["uberctx-space"], "a%20b%20c%2Bd");
    assert_eq!(passed_on["uberctx-umlaut"], "gr%C3%BC%C3%9Fe");

    let mut map = HeaderMap::new();
    map.insert("UberCtx-Tenant", HeaderValue::from_static("blue"));
    let context = jaeger.extract_with_context(&Context::new(), &map.extractor());
    assert_eq!(context.baggage().get("tenant").unwrap().as_str(), "blue");
}
