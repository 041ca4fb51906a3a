//! The header `tracestate` of [W3C Trace Context, level 2](https://www.w3.org/TR/trace-context-2/).

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceId, TraceState};

use super::traceparent::trim_ows;
use crate::limits;

/// Maximum characters of a key, and of a value.
const MAX_LENGTH: usize = 256;

/// Members of at most this length are removed only after all longer ones.
const LONG_MEMBER: usize = 128;

/// A `tracestate` with keys that [`TraceState`] rejects, though level 2 allows them.
///
/// `TraceState` has the key grammar of level 1, which allows one `@` only, before at most 13
/// characters. So a context carries the complete list beside the span context.
///
/// The default one belongs to no trace. It replaces another, as a context cannot remove a value.
struct CompleteTraceState {
    trace_id: TraceId,
    /// The members that the span context holds.
    held: TraceState,
    /// All members.
    members: Vec<(String, String)>,
}

impl Default for CompleteTraceState {
    fn default() -> Self {
        CompleteTraceState {
            trace_id: TraceId::INVALID,
            held: TraceState::NONE,
            members: Vec::new(),
        }
    }
}

/// Returns `context` with a remote span, whose `tracestate` is in `lines`.
///
/// `make_span` makes the span context. `lines` are the lines of the header, in order.
pub(super) fn with_remote_span(
    context: &Context,
    lines: &mut dyn Iterator<Item = &[u8]>,
    make_span: &dyn Fn(TraceState) -> SpanContext,
) -> Context {
    let members = parse(lines).unwrap_or_default();
    // Always with the same type of iterator: each would compile the function once more.
    let state_of = |members: &[(&str, &str)]| TraceState::from_key_value(members.iter().copied());
    if let Ok(state) = state_of(&members) {
        let extracted = context.with_remote_span_context(make_span(state));
        return match context.get::<CompleteTraceState>() {
            // The list of an earlier span of the trace must not be merged with this one.
            Some(_) => extracted.with_value(CompleteTraceState::default()),
            None => extracted,
        };
    }
    let is_held = |member: &(&str, &str)| state_of(&[*member]).is_ok();
    let held: Vec<_> = members.iter().copied().filter(is_held).collect();
    let held = state_of(&held).unwrap_or_default();
    let span = make_span(held.clone());
    let complete = CompleteTraceState {
        trace_id: span.trace_id(),
        held,
        members: members
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect(),
    };
    context.with_remote_span_context(span).with_value(complete)
}

/// Returns `true` if the span has a `tracestate` to inject. Never `false` if it has one.
#[inline]
pub(super) fn may_have_members(context: &Context, span: &SpanContext) -> bool {
    *span.trace_state() != TraceState::NONE || context.get::<CompleteTraceState>().is_some()
}

/// Formats the header of a span in `context`. Returns `None` if it has no members.
pub(super) fn format(context: &Context, span: &SpanContext) -> Option<String> {
    let state = span.trace_state();
    let complete = context.get::<CompleteTraceState>();
    let mut members: Vec<(&str, &str)> = match complete.filter(|complete| complete.trace_id == span.trace_id()) {
        None => state.into_iter().collect(),
        Some(complete) => {
            let all = complete
                .members
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()));
            if complete.held == *state {
                all.collect()
            } else {
                // This process has changed the list. Changed members are at its start.
                let is_beyond = |key: &str| complete.held.get(key).is_none() && state.get(key).is_none();
                state.into_iter().chain(all.filter(|(key, _)| is_beyond(key))).collect()
            }
        }
    };
    // A sampler may have set a value that `TraceState` accepts, but the specification does not.
    members.retain(|(key, value)| is_key(key.as_bytes()) && is_value(value.as_bytes()));
    members.truncate(limits::TRACESTATE.members);
    shorten(&mut members);
    let mut header = String::new();
    for (key, value) in members {
        let comma = if header.is_empty() { "" } else { "," };
        for part in [comma, key, "=", value] {
            header.push_str(part);
        }
    }
    (!header.is_empty()).then_some(header)
}

/// Parses the members of a list. Returns `None` for an invalid list, which is discarded as a whole.
fn parse<'a>(lines: &mut dyn Iterator<Item = &'a [u8]>) -> Option<Vec<(&'a str, &'a str)>> {
    let mut members = Vec::new();
    for line in lines {
        for member in line.split(|byte| *byte == b',').map(trim_ows) {
            if member.is_empty() {
                continue;
            }
            if members.len() == limits::TRACESTATE.members {
                return None;
            }
            members.push(parse_member(member)?);
        }
    }
    shorten(&mut members);
    Some(members)
}

fn parse_member(member: &[u8]) -> Option<(&str, &str)> {
    let at = member.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&member[..at], &member[at + 1..]);
    (is_key(key) && is_value(value)).then_some(())?;
    Some((str::from_utf8(key).ok()?, str::from_utf8(value).ok()?))
}

fn is_key(key: &[u8]) -> bool {
    let is_first = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let is_other = |byte: &u8| is_first(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    key.len() <= MAX_LENGTH && key.first().is_some_and(is_first) && key.iter().all(is_other)
}

fn is_value(value: &[u8]) -> bool {
    let is_char = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    value.len() <= MAX_LENGTH && value.last().is_some_and(|byte| *byte != b' ') && value.iter().all(is_char)
}

/// Removes members until the list is at most as long as [`limits::TRACESTATE`].
///
/// Members of more than 128 characters go first, as the specification demands, each time from the
/// end of the list.
fn shorten(members: &mut Vec<(&str, &str)>) {
    let length = |(key, value): &(&str, &str)| key.len() + 1 + value.len();
    // Counts a comma more than the list has.
    let mut total: usize = members.iter().map(|member| length(member) + 1).sum();
    while total > limits::TRACESTATE.bytes + 1 {
        let is_long = |member: &(&str, &str)| length(member) > LONG_MEMBER;
        let at = members.iter().rposition(is_long).unwrap_or(members.len() - 1);
        total -= length(&members.remove(at)) + 1;
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags};
    use proptest::prelude::*;

    use super::*;

    fn span(state: TraceState) -> SpanContext {
        SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, true, state)
    }

    fn read(lines: &[&str]) -> Context {
        with_remote_span(&Context::new(), &mut lines.iter().map(|line| line.as_bytes()), &span)
    }

    fn written(context: &Context) -> Option<String> {
        let span = context.span();
        let header = format(context, span.span_context());
        assert!(header.is_none() || may_have_members(context, span.span_context()));
        header
    }

    #[test]
    fn a_valid_list_is_written_as_it_was_read() {
        let long = format!("{}={}", "k".repeat(256), "v".repeat(256));
        let many: Vec<String> = (0..32).map(|at| format!("key{at}=value")).collect();
        for (lines, list) in [
            (&["a=1"][..], "a=1"),
            (&["a=1,b=2", "c=3"], "a=1,b=2,c=3"),
            (&[" a=1 \t,\t b= 2 , ", "", ",c=3,"], "a=1,b= 2,c=3"),
            (&["a=1,a=1,a=2"], "a=1,a=1,a=2"),
            (
                &["0_-*/=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"],
                "0_-*/=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~",
            ),
            (&["ot=th:8;rv:1234567890abcd,a=1"], "ot=th:8;rv:1234567890abcd,a=1"),
            (
                &["a@=1,b=2", "a@@b=3,a@b@c=4", "t@vvvvvvvvvvvvvvv=5"],
                "a@=1,b=2,a@@b=3,a@b@c=4,t@vvvvvvvvvvvvvvv=5",
            ),
            (&["a@@b=3"], "a@@b=3"),
            (&[&long], &long),
            (&[&many.join(",")], &many.join(",")),
        ] {
            let context = read(lines);
            assert_eq!(written(&context).as_deref(), Some(list), "{lines:?}");
            assert_eq!(written(&read(&[list])).as_deref(), Some(list), "{lines:?}");
        }
    }

    #[test]
    fn an_invalid_list_is_discarded_as_a_whole() {
        let many: Vec<String> = (0..33).map(|at| format!("key{at}=value")).collect();
        for lines in [
            &[][..],
            &["", " ,\t"],
            &["a=1,b"],
            &["a=1", "B=2"],
            &["a=1,=2"],
            &["a=1,b="],
            &["a=1,b=\t2"],
            &["a=1,b =2"],
            &["a=1,b.c=2"],
            &["a=1,@b=2"],
            &["a=1=2"],
            &["a=1,b=\u{e9}"],
            &[&format!("a=1,{}=1", "k".repeat(257))],
            &[&format!("a=1,k={}", "v".repeat(257))],
            &[&many.join(",")],
        ] {
            assert_eq!(written(&read(lines)), None, "{lines:?}");
        }
    }

    #[test]
    fn a_list_beyond_the_limit_loses_its_long_members_first() {
        let member = |key: &str, length: usize| format!("{key}={}", "v".repeat(length - key.len() - 1));
        let keys = |lengths: &[usize]| {
            let members: Vec<String> = (0..)
                .zip(lengths)
                .map(|(at, length)| member(&format!("k{at}"), *length))
                .collect();
            let written = written(&read(&[&members.join(",")])).unwrap();
            let keys: Vec<&str> = written
                .split(',')
                .map(|member| member.split_once('=').unwrap().0)
                .collect();
            keys.join(" ")
        };
        // 15 * 256 + 14 commas = 3,854.
        assert_eq!(keys(&[256; 15]).split(' ').count(), 15);
        assert_eq!(
            keys(&[[256; 15].as_slice(), &[241]].concat()).split(' ').count(),
            16,
            "4,096 bytes"
        );
        assert_eq!(
            keys(&[[256; 15].as_slice(), &[242]].concat()).split(' ').count(),
            15,
            "4,097 bytes"
        );
        let mut lengths = [128; 32];
        lengths[3] = 129;
        assert!(!keys(&lengths).contains("k3 ") && keys(&lengths).ends_with(" k31"));
        lengths[3] = 128;
        lengths[30] = 130;
        assert!(keys(&lengths).ends_with("k28 k29 k31"));
    }

    #[test]
    fn a_changed_list_keeps_what_the_span_context_cannot_hold() {
        let context = read(&["a=1,b@@c=2,d=3"]);
        let state = context.span().span_context().trace_state().insert("d", "4").unwrap();
        let changed = context.with_remote_span_context(span(state));
        assert_eq!(written(&changed).as_deref(), Some("d=4,a=1,b@@c=2"));
        let state = context.span().span_context().trace_state().delete("a").unwrap();
        let changed = context.with_remote_span_context(span(state));
        assert_eq!(written(&changed).as_deref(), Some("d=3,b@@c=2"));
        let other = SpanContext::new(5.into(), 2.into(), TraceFlags::SAMPLED, false, TraceState::NONE);
        assert_eq!(written(&context.with_remote_span_context(other)), None, "another trace");
    }

    #[test]
    fn what_a_sampler_sets_is_written_only_if_it_is_valid() {
        let state = TraceState::from_key_value([("a", "1"), ("b", ""), ("c", "\n"), ("d", "2 ")]).unwrap();
        let context = Context::new().with_remote_span_context(span(state));
        assert_eq!(written(&context).as_deref(), Some("a=1"));
    }

    proptest! {
        #[test]
        fn any_valid_list_is_written_as_it_was_read(
            members in prop::collection::vec("[a-z0-9][a-z0-9@/*_-]{0,40}=[ -+\\--<>-~]{0,40}[!-+\\--<>-~]", 1..=32),
        ) {
            let list = members.join(",");
            prop_assert_eq!(written(&read(&[&list])), Some(list));
        }

        #[test]
        fn any_lines_are_read_or_discarded(lines in prop::collection::vec(any::<Vec<u8>>(), 0..4)) {
            let context = with_remote_span(&Context::new(), &mut lines.iter().map(Vec::as_slice), &span);
            if let Some(list) = written(&context) {
                prop_assert_eq!(written(&read(&[&list])), Some(list));
            }
        }
    }
}
