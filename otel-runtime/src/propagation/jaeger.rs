//! Propagator for Jaeger's format.

use std::borrow::Cow;
use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId, TraceState};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::prefixed_baggage::PrefixedBaggage;
use super::sampling::{self, SamplingState};

const TRACE_ID: &str = "uber-trace-id";

const BAGGAGE: PrefixedBaggage = PrefixedBaggage {
    prefix: "uberctx-",
    encode: |value| Some(utf8_percent_encode(value, ENCODED).to_string()),
    // The URL encoders of Go and Java encode a space as a plus sign. All of them encode a plus sign
    // as `%2B`, so this is unambiguous.
    decode: |value| decode(&value.replace('+', " ")).map(Cow::into_owned),
};

const SAMPLED: u8 = 0x01;
const DEBUG: u8 = 0x02;

static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [TRACE_ID.into()]);

/// Percent-encodes everything except the unreserved characters of a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Propagator for [Jaeger's format](https://www.jaegertracing.io/sdk-migration/#propagation-format).
///
/// Requires the Cargo feature `propagators`.
///
/// The headers are `uber-trace-id: {trace id}:{span id}:{parent span id}:{flags}`, and
/// `uberctx-{key}` for each entry of the baggage. OpenTelemetry deprecates the format: use it only
/// with services that have it already.
///
/// Accepts ids with fewer digits, and a URL-encoded value. The debug flag is propagated if the
/// sampled flag is set, too. The parent span id is ignored on extracting, and injected as `0`.
///
/// # Baggage
///
/// * Extracted entries are added to the [baggage](opentelemetry::baggage) of the context.
/// * The metadata of entries is not propagated.
/// * The baggage is limited to 64 entries, and to 8,192 bytes of keys and encoded values. Entries
///   beyond the limits are dropped.
/// * Header names are in lower case over HTTP/2, so the key `userId` arrives as `userid`.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::baggage::BaggageExt;
/// use opentelemetry::propagation::TextMapPropagator;
/// use opentelemetry::trace::TraceContextExt;
/// use otel_runtime::propagation::JaegerPropagator;
///
/// let headers = HashMap::from([
///     ("uber-trace-id".to_owned(), "3a3d8a1e5ee6a7c9:5ee6a7c93a3d8a1e:0:1".to_owned()),
///     ("uberctx-tenant".to_owned(), "blue%20sky".to_owned()),
/// ]);
/// let context = JaegerPropagator::new().extract(&headers);
/// assert!(context.span().span_context().is_sampled());
/// assert_eq!(context.baggage().get("tenant").unwrap().as_str(), "blue sky");
///
/// let mut headers = HashMap::new();
/// JaegerPropagator::new().inject_context(&context, &mut headers);
/// assert_eq!(headers["uber-trace-id"], "00000000000000003a3d8a1e5ee6a7c9:5ee6a7c93a3d8a1e:0:1");
/// assert_eq!(headers["uberctx-tenant"], "blue%20sky");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JaegerPropagator {
    _private: (),
}

impl JaegerPropagator {
    /// Creates the propagator.
    #[must_use]
    pub const fn new() -> Self {
        JaegerPropagator { _private: () }
    }
}

impl TextMapPropagator for JaegerPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if span.is_valid() {
            let flags = match SamplingState::from_context(context) {
                Some(SamplingState::Debug) => SAMPLED | DEBUG,
                Some(SamplingState::Accept) => SAMPLED,
                _ => 0,
            };
            injector.set(TRACE_ID, format!("{}:{}:0:{flags:x}", span.trace_id(), span.span_id()));
        }
        BAGGAGE.inject(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let span = extractor.get(TRACE_ID).and_then(|value| parse(value.trim()));
        let context = match span {
            Some((trace_id, span_id, state)) => {
                sampling::with_remote_span(context, trace_id, span_id, state, &TraceState::NONE)
            }
            None => context.clone(),
        };
        BAGGAGE.extract(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

fn parse(value: &str) -> Option<(TraceId, SpanId, SamplingState)> {
    let decoded = decode(value)?;
    let mut parts = decoded.split(':');
    let (trace_id, span_id) = (sampling::trace_id(parts.next()?)?, sampling::span_id(parts.next()?)?);
    // Some clients leave the parent span id empty if there is no parent.
    is_hex(parts.next()?, 0..=16).then_some(())?;
    let flags = parts.next().filter(|flags| is_hex(flags, 1..=2))?;
    if parts.next().is_some() {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    // The debug flag counts only together with the sampled flag.
    let state = match (flags & SAMPLED != 0, flags & DEBUG != 0) {
        (false, _) => SamplingState::Deny,
        (true, false) => SamplingState::Accept,
        (true, true) => SamplingState::Debug,
    };
    Some((trace_id, span_id, state))
}

fn is_hex(value: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&value.len()) && value.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Percent-decodes `value`. Returns `None` if the result is not UTF-8.
fn decode(value: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(value).decode_utf8().ok()
}
