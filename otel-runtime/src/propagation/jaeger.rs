//! Jaeger's format.

use std::borrow::Cow;
use std::sync::LazyLock;

use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, Key};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::sampling::{self, SamplingState};
use crate::limits;

const TRACE_ID: &str = "uber-trace-id";
const BAGGAGE_PREFIX: &str = "uberctx-";

const SAMPLED: u8 = 0x01;
const DEBUG: u8 = 0x02;

static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [TRACE_ID.into()]);

/// Percent-encodes everything except the unreserved characters of a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// [Jaeger's format](https://www.jaegertracing.io/sdk-migration/#propagation-format):
/// `uber-trace-id: {trace id}:{span id}:{parent's span id}:{flags}`, and a header `uberctx-{key}`
/// for each entry of the baggage.
///
/// Ids may be shorter than they should be, and the whole value URL-encoded. The debug flag means
/// sampled, and is passed on. The parent is dropped, and written as `0`.
///
/// Baggage is [OpenTelemetry's](opentelemetry::baggage), without the metadata of its entries; what
/// is read is added to what is there. It has at most 64 entries, and 8,192 bytes as it is written:
/// what does not fit is left out. Headers have no case, so a key that came as `userId` is `userid`.
/// OpenTelemetry regards the format as deprecated: it is for those who have it already.
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
        let mut left = limits::BAGGAGE.bytes;
        for (key, (value, _)) in context.baggage() {
            let value = utf8_percent_encode(value.as_str(), ENCODED).to_string();
            // Encoded, it may be three times as long as what was read.
            let Some(rest) = left.checked_sub(key.as_str().len() + value.len()) else {
                continue;
            };
            left = rest;
            injector.set(&format!("{BAGGAGE_PREFIX}{key}"), value);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let span = extractor.get(TRACE_ID).and_then(|value| parse(value.trim()));
        let context = match span {
            Some((trace_id, span_id, state)) => {
                sampling::with_remote_span(context, trace_id, span_id, state, &TraceState::NONE)
            }
            None => context.clone(),
        };
        let read = read_baggage(extractor);
        if read.is_empty() {
            return context;
        }
        let known = context.baggage().into_iter();
        let known =
            known.map(|(key, (value, metadata))| KeyValueMetadata::new(key.clone(), value.clone(), metadata.clone()));
        let baggage: Vec<KeyValueMetadata> = known.chain(read).collect();
        context.with_baggage(baggage)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

fn parse(value: &str) -> Option<(TraceId, SpanId, SamplingState)> {
    let decoded = decode(value)?;
    let mut parts = decoded.split(':');
    let (trace_id, span_id) = (sampling::trace_id(parts.next()?)?, sampling::span_id(parts.next()?)?);
    // Some clients write nothing where there is no parent.
    is_hex(parts.next()?, 0..=16).then_some(())?;
    let flags = parts.next().filter(|flags| is_hex(flags, 1..=2))?;
    if parts.next().is_some() {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    // Debug is nothing without sampled.
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

fn read_baggage(extractor: &dyn Extractor) -> Vec<KeyValueMetadata> {
    let entry = |name: &str| {
        let prefix = name.get(..BAGGAGE_PREFIX.len())?;
        if !prefix.eq_ignore_ascii_case(BAGGAGE_PREFIX) {
            return None;
        }
        let key = name[BAGGAGE_PREFIX.len()..].to_owned();
        // The encoders of Go and Java write a space as a plus sign, and all encoders a plus sign as
        // `%2B`.
        let value = extractor.get(name)?.replace('+', " ");
        let value = decode(&value)?.into_owned();
        Some(KeyValueMetadata::new(Key::from(key), value, ""))
    };
    extractor.keys().into_iter().filter_map(entry).collect()
}

/// `None` if it is not UTF-8.
fn decode(value: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(value).decode_utf8().ok()
}
