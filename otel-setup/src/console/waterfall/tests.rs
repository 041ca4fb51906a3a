//! The exact text of waterfalls.

use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use super::waterfall;
use crate::console::test_support::{context, span};

fn with_code(mut span: SpanData, code: &'static str) -> SpanData {
    span.attributes.push(KeyValue::new("rpc.status_code", code));
    span
}

fn failed(span: SpanData, code: &'static str, error_type: &'static str, description: &'static str) -> SpanData {
    let mut span = with_code(span, code);
    span.attributes.push(KeyValue::new("error.type", error_type));
    span.status = Status::error(description);
    span
}

/// Checks the waterfall. The expected text may begin with a line break.
fn assert_draws(spans: &[SpanData], expected: &str) {
    let drawn = waterfall(spans, false);
    assert_eq!(drawn, expected.trim_start_matches('\n'), "drawn:\n{drawn}");
}

#[test]
fn no_spans_are_no_text() {
    assert_draws(&[], "");
}

#[test]
fn children_are_drawn_below_their_parents_in_the_order_of_their_start() {
    let spans = [
        // Sorted by their end, as exporters receive them.
        span(3, 2, "inner", SpanKind::Internal, (20, 30)),
        with_code(span(2, 1, "first", SpanKind::Client, (10, 40)), "OK"),
        span(5, 4, "innermost", SpanKind::Producer, (60, 90)),
        span(4, 1, "second", SpanKind::Consumer, (50, 90)),
        with_code(span(1, 0, "root", SpanKind::Server, (0, 100)), "OK"),
    ];
    assert_draws(
        &spans,
        "
trace 1 00000000000000000000000000000001
root             server      100.0ms  OK  ██████████████████████████████
├─ first         client       30.0ms  OK     █████████
│  └─ inner      internal     10.0ms            ███
└─ second        consumer     40.0ms                     ████████████
   └─ innermost  producer     30.0ms                        █████████
",
    );
}

#[test]
fn an_error_has_a_mark_and_a_description() {
    let root = span(1, 0, "root", SpanKind::Server, (0, 30));
    let first = span(2, 1, "first", SpanKind::Client, (0, 10));
    let second = span(3, 1, "second", SpanKind::Client, (10, 20));
    let mut third = span(4, 1, "third", SpanKind::Internal, (20, 30));
    third.status = Status::error("");
    let spans = [
        failed(root, "INTERNAL", "INTERNAL", "it broke\nin two"),
        failed(first, "UNKNOWN", "panic", "it broke first"),
        with_code(second, "NOT_FOUND"),
        third,
    ];
    assert_draws(
        &spans,
        "
trace 1 00000000000000000000000000000001
root       server       30.0ms  ✗ INTERNAL         ██████████████████████████████
│  it broke
│  in two
├─ first   client       10.0ms  ✗ UNKNOWN (panic)  ██████████
│     it broke first
├─ second  client       10.0ms  NOT_FOUND                    ██████████
└─ third   internal     10.0ms  ✗ error                                ██████████
",
    );
}

#[test]
fn missing_parents_are_drawn_with_their_ids() {
    let mut called = span(2, 0xabc, "called", SpanKind::Server, (0, 10));
    called.parent_span_is_remote = true;
    let mut called_again = span(3, 0xabc, "called again", SpanKind::Server, (10, 20));
    called_again.parent_span_is_remote = true;
    let orphan = span(4, 0xdef, "orphan", SpanKind::Internal, (5, 20));
    assert_draws(
        &[called, called_again, orphan],
        "
trace 1 00000000000000000000000000000001
(remote parent 0000000000000abc)
├─ called        server       10.0ms    ███████████████
└─ called again  server       10.0ms                   ███████████████
(missing parent 0000000000000def)
└─ orphan        internal     15.0ms           ███████████████████████
",
    );
}

#[test]
fn a_span_without_duration_is_a_thin_mark() {
    let spans = [
        span(1, 0, "root", SpanKind::Server, (0, 30)),
        span(2, 1, "at the start", SpanKind::Internal, (0, 0)),
        span(3, 1, "between", SpanKind::Internal, (15, 15)),
        span(4, 1, "at the end", SpanKind::Internal, (30, 30)),
    ];
    assert_draws(
        &spans,
        "
trace 1 00000000000000000000000000000001
root             server       30.0ms    ██████████████████████████████
├─ at the start  internal      0.0ns    ▏
├─ between       internal      0.0ns                   ▏
└─ at the end    internal      0.0ns                                 ▏
",
    );
}

#[test]
fn a_trace_without_duration_is_a_thin_mark() {
    assert_draws(
        &[span(1, 0, "root", SpanKind::Server, (0, 0))],
        "
trace 1 00000000000000000000000000000001
root  server        0.0ns    ▏
",
    );
}

#[test]
fn traces_are_sorted_by_their_start_and_share_their_columns() {
    let mut later = span(1, 0, "later", SpanKind::Server, (5, 1505));
    later.span_context = context(1, 1);
    let mut earlier = span(2, 0, "earlier", SpanKind::Server, (0, 1));
    earlier.span_context = context(2, 2);
    assert_draws(
        &[with_code(later, "OK"), with_code(earlier, "CANCELLED")],
        "
trace 1 00000000000000000000000000000002
earlier  server        1.0ms  CANCELLED  ██████████████████████████████

trace 2 00000000000000000000000000000001
later    server         1.5s  OK         ██████████████████████████████
",
    );
}

#[test]
fn color_is_optional() {
    let span = failed(
        span(1, 0, "root", SpanKind::Server, (0, 0)),
        "INTERNAL",
        "INTERNAL",
        "it broke",
    );
    assert_eq!(
        waterfall(&[span], true),
        "\x1b[1mtrace 1\x1b[0m \x1b[2m00000000000000000000000000000001\x1b[0m\n\
         root  server        0.0ns  \x1b[31m✗ INTERNAL\x1b[0m  \x1b[31m▏\x1b[0m\n\
         \x1b[2m   \x1b[0m\x1b[31mit broke\x1b[0m\n"
    );
}

#[test]
fn control_characters_are_escaped() {
    let mut span = failed(
        span(1, 0, "", SpanKind::Server, (0, 0)),
        "a\tb",
        "a\tb",
        "it broke\r\nin \x1b[2Jtwo",
    );
    span.name = "two\nlines".into();
    assert_draws(
        &[span],
        "
trace 1 00000000000000000000000000000001
two\\nlines  server        0.0ns  ✗ a\\tb  ▏
   it broke
   in \\u{1b}[2Jtwo
",
    );
}

#[test]
fn spans_in_a_cycle_are_drawn_once() {
    let spans = [
        span(1, 0, "root", SpanKind::Server, (0, 30)),
        span(2, 2, "own parent", SpanKind::Internal, (0, 30)),
        span(3, 4, "chicken", SpanKind::Internal, (0, 30)),
        span(4, 3, "egg", SpanKind::Internal, (0, 30)),
    ];
    assert_draws(
        &spans,
        "
trace 1 00000000000000000000000000000001
root           server       30.0ms    ██████████████████████████████
(missing parent 0000000000000002)
└─ own parent  internal     30.0ms    ██████████████████████████████
(missing parent 0000000000000004)
└─ chicken     internal     30.0ms    ██████████████████████████████
   └─ egg      internal     30.0ms    ██████████████████████████████
",
    );
}

#[test]
fn duplicate_span_ids_do_not_duplicate_children() {
    let spans = [
        span(1, 0, "root", SpanKind::Server, (0, 30)),
        span(1, 0, "root again", SpanKind::Server, (0, 30)),
        span(2, 1, "child", SpanKind::Internal, (0, 30)),
    ];
    let drawn = waterfall(&spans, false);
    assert_eq!(drawn.matches("child").count(), 1, "{drawn}");
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn a_trace_can_be_deeper_than_the_stack() {
    let deep: Vec<_> = (1..=2000)
        .map(|id| span(id, id - 1, "deeper", SpanKind::Internal, (0, 30)))
        .collect();
    let draw = std::thread::Builder::new().stack_size(128 * 1024);
    let drawn = draw.spawn(move || waterfall(&deep, false)).unwrap().join().unwrap();
    assert_eq!(drawn.lines().count(), 2001);
}

#[test]
fn invalid_times_do_not_panic() {
    let backwards = span(1, 0, "backwards", SpanKind::Server, (30, 0));
    let far = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX as u64));
    let mut endless = span(2, 1, "endless", SpanKind::Internal, (0, 0));
    endless.end_time = far.unwrap_or(endless.end_time);
    let mut early = span(3, 1, "early", SpanKind::Internal, (0, 0));
    early.start_time = SystemTime::UNIX_EPOCH
        .checked_sub(Duration::from_secs(i64::MAX as u64))
        .unwrap_or(SystemTime::UNIX_EPOCH);
    assert_eq!(waterfall(&[backwards, endless, early], false).lines().count(), 4);
}
