//! Tests of the time at which spans are drawn, and of their ancestors.

use opentelemetry::trace::{SpanKind, TraceId};

use super::*;
use crate::console::test_support::{context, span as at};

/// Returns an internal span of trace 1.
fn span(id: u64, parent: u64, name: &'static str) -> SpanData {
    at(id, parent, name, SpanKind::Internal, (id, id + 10))
}

fn in_trace(trace: u128, mut span: SpanData) -> SpanData {
    span.span_context = context(trace, u64::from_be_bytes(span.span_context.span_id().to_bytes()));
    span
}

fn remote(mut span: SpanData) -> SpanData {
    span.parent_span_is_remote = true;
    span
}

/// Returns the lines up to the kind, without the zeros of ids.
fn outline(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|line| line.split("  internal").next().unwrap_or_default());
    lines
        .map(|line| line.trim_end().replace("0000000000000000000000000000000", ""))
        .map(|line| line.replace("000000000000000", ""))
        .collect()
}

#[track_caller]
fn assert_adds(traces: &mut Traces, spans: impl Into<Vec<SpanData>>, expected: &[&str]) {
    assert_eq!(outline(&traces.add(spans.into(), false)), expected);
}

#[test]
fn a_trace_is_drawn_when_its_root_ends() {
    let mut traces = Traces::default();
    assert_adds(&mut traces, [span(3, 2, "grandchild")], &[]);
    assert_adds(&mut traces, [span(2, 1, "child")], &[]);
    assert_adds(
        &mut traces,
        [span(1, 0, "root")],
        &["trace 1 1", "root", "└─ child", "   └─ grandchild", ""],
    );
    assert_eq!(traces.drain(false), "");
    assert_eq!(traces.waiting_spans, 0);
}

#[test]
fn traces_complete_independently() {
    let mut traces = Traces::default();
    assert_adds(
        &mut traces,
        [span(2, 1, "child"), in_trace(2, span(4, 3, "other child"))],
        &[],
    );
    assert_adds(
        &mut traces,
        [in_trace(2, span(3, 0, "other root"))],
        &["trace 1 2", "other root", "└─ other child", ""],
    );
    assert_adds(
        &mut traces,
        [span(1, 0, "root")],
        &["trace 2 1", "root", "└─ child", ""],
    );
}

#[test]
fn traces_are_drawn_in_the_order_of_their_start() {
    let mut traces = Traces::default();
    assert_adds(
        &mut traces,
        [in_trace(2, span(5, 0, "later")), span(1, 0, "earlier")],
        &["trace 1 1", "earlier", "", "trace 2 2", "later", ""],
    );
}

#[test]
fn a_remote_parent_completes_a_trace() {
    let mut traces = Traces::default();
    assert_adds(
        &mut traces,
        [span(8, 7, "child"), remote(span(7, 6, "called"))],
        &["trace 1 1", "(remote parent 6)", "└─ called", "   └─ child", ""],
    );
}

#[test]
fn a_late_child_is_drawn_below_the_name_of_its_parent() {
    let mut traces = Traces::default();
    assert_adds(&mut traces, [span(1, 0, "root")], &["trace 1 1", "root", ""]);
    assert_adds(
        &mut traces,
        [in_trace(2, span(1, 0, "another"))],
        &["trace 2 2", "another", ""],
    );
    assert_adds(
        &mut traces,
        [span(2, 1, "late")],
        &["trace 1 1 continued", "(root, above)", "└─ late", ""],
    );
    assert_adds(
        &mut traces,
        [span(3, 2, "later")],
        &["trace 1 1 continued", "(late, above)", "└─ later", ""],
    );
}

#[test]
fn descendants_wait_for_a_late_child() {
    let mut traces = Traces::default();
    assert_adds(
        &mut traces,
        [span(3, 2, "grandchild"), span(1, 0, "root")],
        &["trace 1 1", "root", ""],
    );
    assert_adds(
        &mut traces,
        [span(2, 1, "late")],
        &[
            "trace 1 1 continued",
            "(root, above)",
            "└─ late",
            "   └─ grandchild",
            "",
        ],
    );
}

#[test]
fn a_client_in_the_same_process_continues_the_trace_of_the_server() {
    let mut traces = Traces::default();
    assert_adds(
        &mut traces,
        [remote(span(2, 1, "server"))],
        &["trace 1 1", "(remote parent 1)", "└─ server", ""],
    );
    assert_adds(
        &mut traces,
        [span(1, 0, "client")],
        &["trace 1 1 continued", "client", ""],
    );
}

#[test]
fn drain_draws_incomplete_traces() {
    let mut traces = Traces::default();
    assert_adds(&mut traces, [span(3, 2, "orphan")], &[]);
    assert_eq!(
        outline(&traces.drain(false)),
        ["trace 1 1", "(missing parent 2)", "└─ orphan", ""]
    );
    assert_eq!(traces.drain(false), "");
    assert_adds(
        &mut traces,
        [remote(span(2, 1, "its parent"))],
        &["trace 1 1 continued", "(remote parent 1)", "└─ its parent", ""],
    );
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn too_many_waiting_spans_draw_the_oldest_trace() {
    let mut traces = Traces::default();
    for trace in 1..=MAX_SPANS as u128 {
        assert_adds(&mut traces, [in_trace(trace, span(3, 2, "orphan"))], &[]);
    }
    assert_adds(
        &mut traces,
        [in_trace(u128::MAX, span(3, 2, "orphan"))],
        &["trace 1 1", "(missing parent 2)", "└─ orphan", ""],
    );
    assert_eq!(traces.waiting_spans, MAX_SPANS);
    assert_eq!(traces.drain(false).matches("trace ").count(), MAX_SPANS);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn the_number_of_traces_is_bounded() {
    let mut traces = Traces::default();
    for trace in 1..=3 * MAX_SPANS as u128 {
        traces.add(vec![in_trace(trace, span(1, 0, "root"))], false);
    }
    assert_eq!(traces.drawn_spans, MAX_SPANS);
    assert_eq!(
        (traces.drawn.entries.len(), traces.drawn.by_age.len()),
        (MAX_SPANS, MAX_SPANS)
    );
    assert_eq!((traces.waiting.entries.len(), traces.waiting.by_age.len()), (0, 0));
    assert!(traces.drawn.get(TraceId::from(1)).is_none());
    assert_eq!(traces.count, 3 * MAX_SPANS);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn the_size_of_one_trace_is_bounded() {
    let mut traces = Traces::default();
    let mut drawn = 0;
    for id in 1..=3 * MAX_SPANS as u64 {
        let parent = u64::from(id != 1);
        drawn += traces
            .add(vec![span(id, parent, "one")], false)
            .matches("one  internal")
            .count();
    }
    drawn += traces.drain(false).matches("one  internal").count();
    assert_eq!(drawn, 3 * MAX_SPANS);
    assert!(traces.drawn_spans <= MAX_SPANS && traces.waiting_spans <= MAX_SPANS);
}
