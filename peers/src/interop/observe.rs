//! The spans and durations of each side of an RPC, as text of one line.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use integration_tests::client::CODES;
use integration_tests::collector::Collector;
use integration_tests::telemetry::{Attributes, Telemetry, attributes};
use opentelemetry::trace::{SpanId, Status};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as ForeignKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as ForeignStatus;
use opentelemetry_proto::tonic::trace::v1::{Span, Status as TheirStatus};
use opentelemetry_sdk::trace::SpanData;
use tokio::task::block_in_place;

use super::Direction;
use crate::foreign::attribute;

/// The attributes that instrumentations have the status code in, from the newest to the oldest.
const CODE_ATTRIBUTES: [&str; 5] = [
    "rpc.status_code",
    "rpc.response.status_code",
    "rpc.grpc.status_code",
    "rpc.connect_rpc.error_code",
    "rpc.connect_rpc.status_code",
];

/// The longest time in which the spans of a peer arrive, and durations of ours are recorded.
///
/// Only results that fail the test take that long, so it is for the busiest of machines.
const ARRIVAL: Duration = Duration::from_secs(20);

/// Returns the code, the span status and the error type of our span: `INTERNAL error INTERNAL`.
pub(super) fn our_span(span: &SpanData) -> String {
    let found = attributes(&span.attributes);
    let is_error = match &span.status {
        Status::Unset => false,
        Status::Error { .. } => true,
        Status::Ok => panic!("our spans never have the status Ok: {span:?}"),
    };
    end_text(&found, is_error)
}

fn end_text(found: &Attributes, is_error: bool) -> String {
    let code = found.get("rpc.status_code").map_or("no code", String::as_str);
    let mut text = code.to_owned();
    if is_error {
        text += " error";
    }
    if let Some(error_type) = found.get("error.type") {
        text = format!("{text} {error_type}");
    }
    text
}

/// Waits until each of our spans has a duration with its method and end, and returns what differs.
pub(super) async fn durations_that_differ(
    telemetry: &Telemetry,
    direction: Direction,
    spans: &[SpanData],
) -> Option<String> {
    let end = |found: &Attributes| {
        ["rpc.method", "rpc.status_code", "error.type"].map(|key| found.get(key).cloned().unwrap_or_default())
    };
    let mut expected: Vec<_> = spans.iter().map(|span| end(&attributes(&span.attributes))).collect();
    expected.sort();
    let mut found = Vec::new();
    let started = Instant::now();
    while found.len() < expected.len() && started.elapsed() < ARRIVAL {
        let metrics = telemetry.metrics();
        let points = match direction {
            Direction::Client => metrics.durations(),
            Direction::Server => metrics.client_durations(),
        };
        for (attributes, count, _) in points {
            found.extend((0..count).map(|_| end(&attributes)));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    found.sort();
    (found != expected).then(|| format!("durations {found:?}"))
}

/// Returns the ends of the peer's spans in the trace of our span, from the root down.
///
/// Waits until they are `expected`. Without an expectation, waits until no more arrive.
pub(super) fn their_spans(
    collector: &Collector,
    direction: Direction,
    ours: &SpanData,
    expected: Option<&[String]>,
) -> String {
    block_in_place(|| {
        let started = Instant::now();
        let (mut last, mut since) = (String::new(), Instant::now());
        loop {
            let text = trace_text(&collector.spans(), direction, ours);
            if expected.is_some_and(|expected| expected.contains(&text)) && text != "-" {
                return text;
            }
            if text != last {
                (last, since) = (text, Instant::now());
            }
            let wait = match (&*last, expected) {
                // A span that does not exist takes no longer to arrive than others.
                ("-", Some(expected)) if expected.iter().any(|text| text == "-") => Duration::from_millis(100),
                (_, Some(_)) => ARRIVAL,
                ("-", None) => Duration::from_secs(1),
                (_, None) => Duration::from_millis(250),
            };
            if since.elapsed() > wait || started.elapsed() > ARRIVAL {
                return last;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    })
}

fn trace_text(spans: &[Span], direction: Direction, ours: &SpanData) -> String {
    let context = &ours.span_context;
    let (trace, id) = (context.trace_id().to_bytes(), context.span_id().to_bytes());
    let own_kind = match direction {
        Direction::Client => ForeignKind::Client,
        Direction::Server => ForeignKind::Server,
    };
    let in_trace: Vec<&Span> = spans.iter().filter(|span| span.trace_id == trace).collect();
    if in_trace.is_empty() {
        let linked = |span: &&Span| {
            span.links
                .iter()
                .any(|link| link.trace_id == trace && link.span_id == id)
        };
        let linked: Vec<&Span> = spans.iter().filter(linked).collect();
        if direction == Direction::Server && !linked.is_empty() {
            return format!("linked: {}", chain_text(&linked, own_kind));
        }
        return "-".to_owned();
    }
    let is_related = match direction {
        Direction::Client => {
            ours.parent_span_id != SpanId::INVALID
                && in_trace
                    .iter()
                    .any(|span| span.span_id == ours.parent_span_id.to_bytes())
        }
        Direction::Server => in_trace.iter().any(|span| span.parent_span_id == id),
    };
    let relation = if is_related { "" } else { "unrelated: " };
    format!("{relation}{}", chain_text(&in_trace, own_kind))
}

/// Returns the ends of spans, each after its parent.
fn chain_text(spans: &[&Span], own_kind: ForeignKind) -> String {
    let parents: BTreeMap<&[u8], &[u8]> = spans
        .iter()
        .map(|span| (&*span.span_id, &*span.parent_span_id))
        .collect();
    let depth = |span: &Span| {
        let mut depth = 0;
        let mut id = &*span.span_id;
        while let Some(parent) = parents.get(id) {
            (depth, id) = (depth + 1, parent);
        }
        depth
    };
    let mut sorted = spans.to_vec();
    sorted.sort_by_key(|span| (depth(span), span.start_time_unix_nano));
    let texts: Vec<String> = sorted.iter().map(|span| foreign_end(span, own_kind)).collect();
    texts.join(" > ")
}

fn foreign_end(span: &Span, own_kind: ForeignKind) -> String {
    let code = CODE_ATTRIBUTES.iter().find_map(|key| attribute(span, key));
    let code = code.map_or("no code".to_owned(), |code| match code.parse::<usize>() {
        Ok(number) => CODES[number].1.to_owned(),
        Err(_) => code,
    });
    let status = match span.status.as_ref().map_or(ForeignStatus::Unset, TheirStatus::code) {
        ForeignStatus::Unset => "",
        ForeignStatus::Error => " error",
        ForeignStatus::Ok => " ok",
    };
    let error_type = attribute(span, "error.type").map_or(String::new(), |kind| format!(" {kind}"));
    let kind = if span.kind() == own_kind {
        String::new()
    } else {
        format!("{} ", span.kind().as_str_name().trim_start_matches("SPAN_KIND_"))
    };
    format!("{kind}{code}{status}{error_type}")
}
