//! Propagator for B3, Zipkin's format.

use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId, TraceState};

use super::b3_headers::{FLAGS, SAMPLED, SINGLE, SPAN_ID, TRACE_ID};
use super::sampling::{self, SamplingState};

static SINGLE_FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [SINGLE.into()]);
static MULTI_FIELDS: LazyLock<[String; 4]> = LazyLock::new(|| [TRACE_ID, SPAN_ID, SAMPLED, FLAGS].map(Into::into));

/// Propagator for [B3](https://github.com/openzipkin/b3-propagation), the format of Zipkin.
///
/// Requires the Cargo feature `propagators`.
///
/// Follows [OpenTelemetry's requirements][1]. Extracts both encodings, and prefers the single
/// header `b3`. Injects only the chosen encoding. Pads trace ids of 64 bits with zeros on the left.
///
/// # Sampling
///
/// * The debug flag implies sampled, and is propagated.
/// * If the caller defers the decision, its span context is not sampled. It is propagated as
///   deferred until this process starts a span.
/// * A decision without ids, such as `b3: 0`, is propagated until then, too.
///
/// [`SamplingState`] distinguishes these cases. The caller's parent span id is ignored, as
/// OpenTelemetry requires.
///
/// [1]: https://opentelemetry.io/docs/specs/otel/context/api-propagators/#b3-requirements
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::propagation::TextMapPropagator;
/// use otel_runtime::propagation::B3Propagator;
///
/// let b3 = "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1-e457b5a2e4d86bd1";
/// let context = B3Propagator::single().extract(&HashMap::from([("b3".to_owned(), b3.to_owned())]));
///
/// let mut headers = HashMap::new();
/// B3Propagator::multi().inject_context(&context, &mut headers);
/// assert_eq!(headers["x-b3-traceid"], "80f198ee56343ba864fe8b2a57d3eff7");
/// assert_eq!(headers["x-b3-spanid"], "05e3ac9a4f6e3b90");
/// assert_eq!(headers["x-b3-sampled"], "1");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct B3Propagator {
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, Default)]
enum Encoding {
    #[default]
    Single,
    Multi,
}

impl B3Propagator {
    /// Creates a propagator that injects the header `b3`: `{trace id}-{span id}-{0, 1 or d}`.
    #[must_use]
    pub const fn single() -> Self {
        B3Propagator {
            encoding: Encoding::Single,
        }
    }

    /// Creates a propagator that injects several headers.
    ///
    /// The headers are `x-b3-traceid`, `x-b3-spanid` and `x-b3-sampled`. With the debug flag,
    /// `x-b3-flags` replaces `x-b3-sampled`.
    #[must_use]
    pub const fn multi() -> Self {
        B3Propagator {
            encoding: Encoding::Multi,
        }
    }
}

impl TextMapPropagator for B3Propagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let Some(state) = SamplingState::from_context(context) else {
            return;
        };
        let span = context.span();
        let span = span.span_context();
        let ids = span.is_valid().then(|| (span.trace_id(), span.span_id()));
        match self.encoding {
            Encoding::Single => inject_single(ids, state, injector),
            Encoding::Multi => inject_multi(ids, state, injector),
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let single = extractor.get(SINGLE).and_then(|value| parse(value.trim()));
        match single.or_else(|| extract_multi(extractor)) {
            Some((Some((trace_id, span_id)), state)) => {
                sampling::with_remote_span(context, trace_id, span_id, state, &TraceState::NONE)
            }
            Some((None, state)) => sampling::with_state(context, state, TraceId::INVALID, SpanId::INVALID),
            None => context.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        match self.encoding {
            Encoding::Single => FieldIter::new(&*SINGLE_FIELDS),
            Encoding::Multi => FieldIter::new(&*MULTI_FIELDS),
        }
    }
}

type Ids = (TraceId, SpanId);

fn inject_single(ids: Option<Ids>, state: SamplingState, injector: &mut dyn Injector) {
    let state = match state {
        SamplingState::Defer => None,
        SamplingState::Deny => Some("0"),
        SamplingState::Accept => Some("1"),
        SamplingState::Debug => Some("d"),
    };
    let value = match (ids, state) {
        (Some((trace_id, span_id)), Some(state)) => format!("{trace_id}-{span_id}-{state}"),
        (Some((trace_id, span_id)), None) => format!("{trace_id}-{span_id}"),
        (None, Some(state)) => state.to_owned(),
        (None, None) => return,
    };
    injector.set(SINGLE, value);
}

fn inject_multi(ids: Option<Ids>, state: SamplingState, injector: &mut dyn Injector) {
    if let Some((trace_id, span_id)) = ids {
        injector.set(TRACE_ID, trace_id.to_string());
        injector.set(SPAN_ID, span_id.to_string());
    }
    match state {
        SamplingState::Defer => {}
        SamplingState::Deny => injector.set(SAMPLED, "0".into()),
        SamplingState::Accept => injector.set(SAMPLED, "1".into()),
        // Debug implies `x-b3-sampled`, so that header must not be sent as well.
        SamplingState::Debug => injector.set(FLAGS, "1".into()),
    }
}

/// Parses a header `b3` into its ids, if it has any, and its sampling decision.
fn parse(value: &str) -> Option<(Option<Ids>, SamplingState)> {
    let mut parts = value.split('-');
    let first = parts.next()?;
    let Some(span) = parts.next() else {
        return Some((None, parse_state(first)?));
    };
    let ids = parse_ids(first, span)?;
    let (state, parent) = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => (SamplingState::Defer, None),
        // If the decision is deferred, the third part is the parent span id.
        (Some(parent), None, None) if parent.len() > 1 => (SamplingState::Defer, Some(parent)),
        (Some(state), parent, None) => (parse_state(state)?, parent),
        _ => return None,
    };
    parent
        .is_none_or(|parent| is_lower_hex(parent, 16))
        .then_some((Some(ids), state))
}

fn parse_state(state: &str) -> Option<SamplingState> {
    match state {
        "0" => Some(SamplingState::Deny),
        "1" => Some(SamplingState::Accept),
        "d" => Some(SamplingState::Debug),
        _ => None,
    }
}

/// Extracts the ids and the sampling decision from the headers of the multiple-header encoding.
///
/// Ignores the parent span id, which is not propagated.
fn extract_multi(extractor: &dyn Extractor) -> Option<(Option<Ids>, SamplingState)> {
    let get = |key| extractor.get(key).map(str::trim);
    let state = match (get(FLAGS), get(SAMPLED)) {
        (Some("1"), _) => Some(SamplingState::Debug),
        (_, None) => None,
        // Tracers older than the specification send words. The specification allows to accept them.
        (_, Some("0" | "false")) => Some(SamplingState::Deny),
        (_, Some("1" | "true")) => Some(SamplingState::Accept),
        _ => return None,
    };
    match (get(TRACE_ID), get(SPAN_ID)) {
        (Some(trace), Some(span)) => Some((Some(parse_ids(trace, span)?), state.unwrap_or(SamplingState::Defer))),
        (None, None) => Some((None, state?)),
        _ => None,
    }
}

fn parse_ids(trace: &str, span: &str) -> Option<Ids> {
    let is_hex = (is_lower_hex(trace, 32) || is_lower_hex(trace, 16)) && is_lower_hex(span, 16);
    is_hex.then_some(())?;
    Some((sampling::trace_id(trace)?, sampling::span_id(span)?))
}

fn is_lower_hex(value: &str, length: usize) -> bool {
    value.len() == length && value.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}
