//! Propagator for the format of `OpenTracing`'s basic tracers.

use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId, TraceState};

use super::prefixed_baggage::PrefixedBaggage;
use super::sampling::{self, SamplingState};

const TRACE_ID: &str = "ot-tracer-traceid";
const SPAN_ID: &str = "ot-tracer-spanid";
const SAMPLED: &str = "ot-tracer-sampled";

/// Values are not encoded. Other characters than those of ASCII text would not arrive.
const BAGGAGE: PrefixedBaggage = PrefixedBaggage {
    prefix: "ot-baggage-",
    encode: |value| is_text(value).then(|| value.to_owned()),
    decode: |value| Some(value.to_owned()),
};

static FIELDS: LazyLock<[String; 3]> = LazyLock::new(|| [TRACE_ID, SPAN_ID, SAMPLED].map(Into::into));

/// Propagator for the format of `OpenTracing`'s basic tracers, and of Lightstep's.
///
/// Requires the Cargo feature `propagators`.
///
/// The headers are `ot-tracer-traceid`, `ot-tracer-spanid`, `ot-tracer-sampled` (`true` or `false`)
/// and `ot-baggage-{key}` for each entry of the baggage. There is no specification: this follows
/// [OpenTelemetry's propagator for Java][1], whose agent calls the format `ottrace`.
///
/// * Injects the last 64 bits of the trace id, as these tracers have no others. Extracts up to 128.
///   If another propagator has extracted the same span with all 128 bits, those stay.
/// * Accepts `1` and `0` for the decision. If it is missing, it is deferred: see
///   [`SamplingState::Defer`].
/// * Baggage is injected and extracted only beside a span. Its values are not encoded, so those
///   with other characters than printable ASCII are dropped. So is the metadata. The limits are 64
///   entries, and 8,192 bytes of keys and values.
///
/// [1]: https://github.com/open-telemetry/opentelemetry-java/tree/main/extensions/trace-propagators
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::propagation::TextMapPropagator;
/// use opentelemetry::trace::TraceContextExt;
/// use otel_runtime::propagation::OtTracePropagator;
///
/// let received = HashMap::from([
///     ("ot-tracer-traceid".to_owned(), "64fe8b2a57d3eff7".to_owned()),
///     ("ot-tracer-spanid".to_owned(), "e457b5a2e4d86bd1".to_owned()),
///     ("ot-tracer-sampled".to_owned(), "true".to_owned()),
///     ("ot-baggage-tenant".to_owned(), "blue".to_owned()),
/// ]);
/// let context = OtTracePropagator::new().extract(&received);
/// assert!(context.span().span_context().is_sampled());
///
/// let mut sent = HashMap::new();
/// OtTracePropagator::new().inject_context(&context, &mut sent);
/// assert_eq!(sent, received);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OtTracePropagator {
    _private: (),
}

impl OtTracePropagator {
    /// Creates the propagator.
    #[must_use]
    pub const fn new() -> Self {
        OtTracePropagator { _private: () }
    }
}

impl TextMapPropagator for OtTracePropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        injector.set(TRACE_ID, format!("{:016x}", low_half(span.trace_id())));
        injector.set(SPAN_ID, span.span_id().to_string());
        match SamplingState::from_context(context) {
            Some(SamplingState::Accept | SamplingState::Debug) => injector.set(SAMPLED, "true".into()),
            Some(SamplingState::Deny) => injector.set(SAMPLED, "false".into()),
            Some(SamplingState::Defer) | None => {}
        }
        BAGGAGE.inject(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let Some((mut trace_id, span_id, state)) = parse(extractor) else {
            return context.clone();
        };
        let existing = context.span();
        let existing = existing.span_context();
        if existing.span_id() == span_id && low_half(existing.trace_id()) == u128_of(trace_id) {
            trace_id = existing.trace_id();
        }
        let context = sampling::with_remote_span(context, trace_id, span_id, state, &TraceState::NONE);
        BAGGAGE.extract(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

fn parse(extractor: &dyn Extractor) -> Option<(TraceId, SpanId, SamplingState)> {
    let get = |key| extractor.get(key).map(str::trim);
    let (trace_id, span_id) = (sampling::trace_id(get(TRACE_ID)?)?, sampling::span_id(get(SPAN_ID)?)?);
    let state = match get(SAMPLED) {
        None => SamplingState::Defer,
        Some("1") => SamplingState::Accept,
        Some("0") => SamplingState::Deny,
        Some(word) if word.eq_ignore_ascii_case("true") => SamplingState::Accept,
        Some(word) if word.eq_ignore_ascii_case("false") => SamplingState::Deny,
        Some(_) => return None,
    };
    Some((trace_id, span_id, state))
}

fn u128_of(trace_id: TraceId) -> u128 {
    u128::from_be_bytes(trace_id.to_bytes())
}

/// Returns the last 64 bits of a trace id.
fn low_half(trace_id: TraceId) -> u128 {
    u128_of(trace_id) & u128::from(u64::MAX)
}

fn is_text(value: &str) -> bool {
    value.trim() == value && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}
