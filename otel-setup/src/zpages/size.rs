//! The memory that spans take, and their copies without what is too large.

use std::borrow::Cow;
use std::mem::size_of;

use opentelemetry::trace::{SpanContext, Status, TraceState};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// The size above which a copy of a span is trimmed.
pub(super) const MAX_SPAN: usize = 8 * 1024;
/// The limits of a span that is trimmed.
const MAX_VALUE: usize = 256;
const MAX_ATTRIBUTES: usize = 16;
/// The attributes at the end that are among them: there are the code and the type of a failure.
const LAST_ATTRIBUTES: usize = 4;
/// The attributes of an event or a link.
const MAX_INNER_ATTRIBUTES: usize = 4;
const MAX_EVENTS: usize = 8;
const MAX_LINKS: usize = 4;

/// Returns the bytes that a span takes, with those on the heap.
pub(super) fn span(span: &SpanData) -> usize {
    let mut bytes = size_of::<SpanData>() + span.name.len() + attributes(&span.attributes);
    bytes += trace_state(&span.span_context);
    for event in span.events.iter() {
        bytes += size_of_val(event) + event.name.len() + attributes(&event.attributes);
    }
    for link in span.links.iter() {
        bytes += size_of_val(link) + attributes(&link.attributes) + trace_state(&link.span_context);
    }
    if let Status::Error { description } = &span.status {
        bytes += description.len();
    }
    bytes
}

/// Returns the bytes of the name of an RPC. Those of methods are shared by all calls.
#[inline]
#[expect(clippy::ptr_arg, reason = "borrowed names count as none")]
pub(super) fn name(name: &Cow<'static, str>) -> usize {
    match name {
        Cow::Borrowed(_) => 0,
        Cow::Owned(name) => name.len(),
    }
}

/// Returns the bytes of a trace state, which is a list of pairs of strings.
#[inline]
pub(super) fn trace_state(context: &SpanContext) -> usize {
    let state = context.trace_state();
    if *state == TraceState::NONE {
        return 0;
    }
    let header = state.header();
    header.len() + (1 + header.matches(',').count()) * size_of::<(String, String)>()
}

/// Returns a span context without its trace state.
fn stateless(context: &SpanContext) -> SpanContext {
    SpanContext::new(
        context.trace_id(),
        context.span_id(),
        context.trace_flags(),
        context.is_remote(),
        TraceState::NONE,
    )
}

#[inline]
fn attributes(attributes: &[KeyValue]) -> usize {
    // Strings that are static, and take none, count as well.
    let strings = attributes
        .iter()
        .map(|attribute| attribute.key.as_str().len() + value(&attribute.value));
    size_of_val(attributes) + strings.sum::<usize>()
}

#[inline]
fn value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.as_str().len(),
        Value::Array(array) => self::array(array),
        _ => 0,
    }
}

#[cold]
fn array(array: &Array) -> usize {
    match array {
        Array::Bool(values) => values.len(),
        Array::I64(values) => size_of_val(values.as_slice()),
        Array::F64(values) => size_of_val(values.as_slice()),
        Array::String(values) => {
            let strings = values.iter().map(|value| value.as_str().len());
            size_of_val(values.as_slice()) + strings.sum::<usize>()
        }
        _ => 0,
    }
}

/// Returns a copy of a span, without the parts that make it too large.
pub(super) fn copy(span: &SpanData) -> SpanData {
    if self::span(span) <= MAX_SPAN {
        return span.clone();
    }
    let mut copy = SpanData {
        span_context: stateless(&span.span_context),
        parent_span_id: span.parent_span_id,
        parent_span_is_remote: span.parent_span_is_remote,
        span_kind: span.span_kind.clone(),
        name: Cow::Owned(cut(&span.name).to_owned()),
        start_time: span.start_time,
        end_time: span.end_time,
        attributes: trimmed(&span.attributes, MAX_ATTRIBUTES, LAST_ATTRIBUTES),
        dropped_attributes_count: span.dropped_attributes_count + excess(span.attributes.len(), MAX_ATTRIBUTES),
        events: span.events.clone(),
        links: span.links.clone(),
        status: match &span.status {
            Status::Error { description } => Status::error(shortened(description, MAX_VALUE)),
            status => status.clone(),
        },
        instrumentation_scope: span.instrumentation_scope.clone(),
    };
    copy.events.dropped_count += excess(span.events.len(), MAX_EVENTS);
    let earlier_events = span.events.len().saturating_sub(MAX_EVENTS);
    copy.events.events = span.events.iter().skip(earlier_events).cloned().collect();
    for event in &mut copy.events.events {
        event.name = Cow::Owned(shortened(&event.name, MAX_VALUE));
        event.dropped_attributes_count += excess(event.attributes.len(), MAX_INNER_ATTRIBUTES);
        event.attributes = trimmed(&event.attributes, MAX_INNER_ATTRIBUTES, 0);
    }
    copy.links.dropped_count += excess(span.links.len(), MAX_LINKS);
    copy.links.links = span.links.iter().take(MAX_LINKS).cloned().collect();
    for link in &mut copy.links.links {
        link.span_context = stateless(&link.span_context);
        link.dropped_attributes_count += excess(link.attributes.len(), MAX_INNER_ATTRIBUTES);
        link.attributes = trimmed(&link.attributes, MAX_INNER_ATTRIBUTES, 0);
    }
    copy
}

fn excess(count: usize, limit: usize) -> u32 {
    u32::try_from(count.saturating_sub(limit)).unwrap_or(u32::MAX)
}

/// Returns as many attributes, of which `last` are those at the end.
fn trimmed(attributes: &[KeyValue], limit: usize, last: usize) -> Vec<KeyValue> {
    let first = (limit - last).min(attributes.len());
    let (first, others) = attributes.split_at(first);
    let kept = first.iter().chain(&others[others.len().saturating_sub(last)..]);
    let kept = kept.map(|attribute| {
        let key = shortened(attribute.key.as_str(), MAX_VALUE);
        match &attribute.value {
            value @ (Value::Bool(_) | Value::I64(_) | Value::F64(_)) => KeyValue::new(key, value.clone()),
            value => KeyValue::new(key, shortened(&value.as_str(), MAX_VALUE)),
        }
    });
    kept.collect()
}

/// Returns the text up to the limit of a value.
pub(super) fn cut(text: &str) -> &str {
    cut_to(text, MAX_VALUE)
}

/// Returns at most the first `limit` bytes, and an ellipsis in place of the others.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let kept = cut_to(text, limit);
    let ellipsis = if kept.len() < text.len() { "…" } else { "" };
    format!("{kept}{ellipsis}")
}

/// Returns at most the first `limit` bytes.
fn cut_to(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{Event, Link, SpanId, SpanKind, TraceFlags, TraceId};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span_with(attributes: Vec<KeyValue>) -> SpanData {
        SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Server,
            name: "call".into(),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    #[test]
    fn small_spans_are_copied_whole() {
        let span = span_with(vec![KeyValue::new("text", "é".repeat(1000)), KeyValue::new("n", 7)]);
        assert_eq!(copy(&span), span);
    }

    #[test]
    fn large_spans_are_trimmed() {
        let long = || "é".repeat(100_000);
        let many: Vec<KeyValue> = (0..100).map(|_| KeyValue::new("key", long())).collect();
        let list = Value::Array(Array::String(vec![long().into(); 10]));
        let mut span = span_with(many.clone());
        let state = TraceState::from_key_value([("vendor", "v".repeat(200))]).unwrap();
        let (trace, id) = (TraceId::from(1), SpanId::from(1));
        span.span_context = SpanContext::new(trace, id, TraceFlags::SAMPLED, false, state);
        span.name = long().into();
        span.status = Status::error(long());
        span.events.events = vec![Event::new(long(), SystemTime::UNIX_EPOCH, many.clone(), 0); 50];
        span.links.links = vec![Link::new(SpanContext::empty_context(), many, 0); 50];
        span.attributes[0] = KeyValue::new("list", list);
        span.attributes[99] = KeyValue::new("rpc.status_code", "INTERNAL");
        span.events.events[49] = Event::new("last", SystemTime::UNIX_EPOCH, Vec::new(), 0);
        let copied = copy(&span);
        let expected = "é".repeat(MAX_VALUE / 2);
        assert_eq!(copied.name, expected);
        assert_eq!(
            (copied.span_context.trace_id(), copied.span_context.span_id()),
            (trace, id)
        );
        assert_eq!(copied.span_context.trace_state(), &TraceState::NONE);
        assert_eq!(copied.attributes.len(), MAX_ATTRIBUTES);
        assert_eq!(copied.attributes[1], KeyValue::new("key", format!("{expected}…")));
        assert_eq!(copied.attributes[15], KeyValue::new("rpc.status_code", "INTERNAL"));
        assert_eq!(copied.status, Status::error(format!("{expected}…")));
        assert_eq!(copied.events[0].name, format!("{expected}…"));
        assert_eq!(copied.events[7].name, "last");
        assert_eq!(copied.dropped_attributes_count, 84);
        assert_eq!(copied.events.dropped_count, 42);
        assert_eq!(copied.links.dropped_count, 46);
        assert!(self::span(&copied) < 40_000, "{}", self::span(&copied));
    }
}
