//! Examples from the B3 specification, and malformed headers.

use super::*;

/// Covers all examples of <https://github.com/openzipkin/b3-propagation>.
#[test]
fn b3_extracts_the_examples_of_its_specification() {
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
        // No examples, but allowed by the grammar: the last two fields are optional.
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
fn b3_prefers_the_single_header() {
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
fn b3_injects_the_state_that_it_extracted() {
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
        assert_eq!(written(&single, &context), sent, "sent as {as_multi:?} in between");
        assert!(
            !as_multi.contains_key("x-b3-flags") || !as_multi.contains_key("x-b3-sampled"),
            "debug implies sampled"
        );
        assert!(as_multi.keys().all(|key| multi.fields().any(|field| field == key)));
    }
}

#[test]
fn b3_debug_applies_to_the_trace_and_defer_ends_with_the_first_local_span() {
    let b3 = B3Propagator::single();
    let child = |parent: &Context, trace_id: u128, sampled| {
        let flags = TraceFlags::default().with_sampled(sampled);
        let span = SpanContext::new(trace_id.into(), 7.into(), flags, false, TraceState::NONE);
        parent.with_remote_span_context(span)
    };
    let header = |value| b3.extract_with_context(&Context::new(), &headers([("b3", value)]));

    let debug = header("80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-d");
    assert_eq!(
        SamplingState::from_context(&child(&debug, B3_TRACE, true)),
        Some(SamplingState::Debug)
    );
    assert_eq!(
        SamplingState::from_context(&child(&debug, 1, true)),
        Some(SamplingState::Accept),
        "another trace"
    );
    assert_eq!(
        SamplingState::from_context(&child(&header("d"), 1, true)),
        Some(SamplingState::Debug),
        "a trace that starts here"
    );

    let deferred = header("80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90");
    assert_eq!(
        SamplingState::from_context(&child(&deferred, B3_TRACE, true)),
        Some(SamplingState::Accept)
    );
    assert_eq!(
        SamplingState::from_context(&child(&deferred, B3_TRACE, false)),
        Some(SamplingState::Deny)
    );
    assert_eq!(
        SamplingState::from_context(&child(&header("0"), 1, true)),
        Some(SamplingState::Accept)
    );
    assert_eq!(SamplingState::from_context(&Context::new()), None);
}

#[test]
fn b3_ignores_malformed_headers() {
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
        assert_eq!(SamplingState::from_context(&context), None, "{value:?}");
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
        assert_eq!(SamplingState::from_context(&context), None, "{fields:?}");
    }
}
