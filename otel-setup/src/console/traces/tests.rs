//! When spans are drawn, and below what.

use opentelemetry::trace::{SpanKind, TraceId};

use super::*;
use crate::console::test_support::{context, span as at};

/// An internal span of trace 1.
fn span(id: u64, parent: u64, name: &'static str) -> SpanData {
    at(id, parent, name, SpanKind::Internal, (id, id + 10))
}

fn of_trace(trace: u128, mut span: SpanData) -> SpanData {
    span.span_context = context(trace, u64::from_be_bytes(span.span_context.span_id().to_bytes()));
    span
}

fn remote(mut span: SpanData) -> SpanData {
    span.parent_span_is_remote = true;
    span
}

/// What stands before the bars, without the zeros of trace ids.
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
fn a_trace_is_drawn_once_when_its_root_comes() {
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
fn traces_wait_for_themselves_alone() {
    let mut traces = Traces::default();
    assert_adds(
        &mut traces,
        [span(2, 1, "child"), of_trace(2, span(4, 3, "other child"))],
        &[],
    );
    assert_adds(
        &mut traces,
        [of_trace(2, span(3, 0, "other root"))],
        &["trace 1 2", "other root", "└─ other child", ""],
    );
    assert_adds(
        &mut traces,
        [span(1, 0, "root")],
        &["trace 2 1", "root", "└─ child", ""],
    );
}

#[test]
fn a_batch_is_drawn_in_the_order_in_which_its_traces_started() {
    let mut traces = Traces::default();
    assert_adds(
        &mut traces,
        [of_trace(2, span(5, 0, "later")), span(1, 0, "earlier")],
        &["trace 1 1", "earlier", "", "trace 2 2", "later", ""],
    );
}

#[test]
fn a_remote_parent_is_not_waited_for() {
    let mut traces = Traces::default();
    assert_adds(
        &mut traces,
        [span(8, 7, "child"), remote(span(7, 6, "called"))],
        &["trace 1 1", "(remote parent 6)", "└─ called", "   └─ child", ""],
    );
}

#[test]
fn a_late_child_is_below_the_name_of_its_parent() {
    let mut traces = Traces::default();
    assert_adds(&mut traces, [span(1, 0, "root")], &["trace 1 1", "root", ""]);
    assert_adds(
        &mut traces,
        [of_trace(2, span(1, 0, "another"))],
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
fn what_is_below_a_late_child_waits_for_it() {
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
fn the_rest_is_drawn_when_asked_for() {
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
#[cfg_attr(miri, ignore = "thousands of spans take it minutes")]
fn of_too_many_that_wait_the_oldest_trace_is_drawn() {
    let mut traces = Traces::default();
    for trace in 1..=LIMIT as u128 {
        assert_adds(&mut traces, [of_trace(trace, span(3, 2, "orphan"))], &[]);
    }
    assert_adds(
        &mut traces,
        [of_trace(u128::MAX, span(3, 2, "orphan"))],
        &["trace 1 1", "(missing parent 2)", "└─ orphan", ""],
    );
    assert_eq!(traces.waiting_spans, LIMIT);
    assert_eq!(traces.drain(false).matches("trace ").count(), LIMIT);
}

#[test]
#[cfg_attr(miri, ignore = "thousands of spans take it minutes")]
fn nothing_grows_for_ever() {
    let mut traces = Traces::default();
    for trace in 1..=3 * LIMIT as u128 {
        traces.add(vec![of_trace(trace, span(1, 0, "root"))], false);
    }
    assert_eq!(traces.drawn_spans, LIMIT);
    assert_eq!((traces.drawn.entries.len(), traces.drawn.by_age.len()), (LIMIT, LIMIT));
    assert_eq!((traces.waiting.entries.len(), traces.waiting.by_age.len()), (0, 0));
    assert!(traces.drawn.get(TraceId::from(1)).is_none());
    assert_eq!(traces.count, 3 * LIMIT);
}

#[test]
#[cfg_attr(miri, ignore = "thousands of spans take it minutes")]
fn one_trace_without_an_end_does_not_grow_for_ever_either() {
    let mut traces = Traces::default();
    let mut drawn = 0;
    for id in 1..=3 * LIMIT as u64 {
        let parent = u64::from(id != 1);
        drawn += traces
            .add(vec![span(id, parent, "one")], false)
            .matches("one  internal")
            .count();
    }
    drawn += traces.drain(false).matches("one  internal").count();
    assert_eq!(drawn, 3 * LIMIT);
    assert!(traces.drawn_spans <= LIMIT && traces.waiting_spans <= LIMIT);
}
