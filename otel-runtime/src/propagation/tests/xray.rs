//! Examples from X-Ray's documentation.

use super::*;

/// Covers the examples of <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.
#[test]
fn xray_extracts_the_examples_of_its_documentation() {
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
        // A load balancer sends this header. Without a parent there is no span to be a child of.
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

#[test]
fn xray_keeps_a_deferred_state_and_never_injects_reserved_fields() {
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
    assert_eq!(written(&xray, &context), sent, "other fields are propagated");

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
