//! Propagator for Google Cloud Trace's format.

use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId, TraceState};

use super::sampling::{self, SamplingState};

const HEADER: &str = "x-cloud-trace-context";

static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [HEADER.into()]);

/// Propagator for [Google Cloud Trace's format](https://cloud.google.com/trace/docs/trace-context).
///
/// Requires the Cargo feature `propagators`.
///
/// The header is `X-Cloud-Trace-Context: {trace id}/{span id};o={0 or 1}`, with the span id as a
/// decimal number. Google's load balancers, App Engine and Cloud Run send it, often beside
/// `traceparent`.
///
/// If `;o=` is missing, the sampling decision is deferred: see [`SamplingState::Defer`]. A header
/// without a span id is ignored, as no span could be its child.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::propagation::TextMapPropagator;
/// use opentelemetry::trace::TraceContextExt;
/// use otel_runtime::propagation::GoogleCloudPropagator;
///
/// let header = "105445aa7843bc8bf206b12000100000/1;o=1";
/// let headers = HashMap::from([("x-cloud-trace-context".to_owned(), header.to_owned())]);
/// let context = GoogleCloudPropagator::new().extract(&headers);
/// assert_eq!(context.span().span_context().span_id(), 1.into());
///
/// let mut headers = HashMap::new();
/// GoogleCloudPropagator::new().inject_context(&context, &mut headers);
/// assert_eq!(headers["x-cloud-trace-context"], header);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GoogleCloudPropagator {
    _private: (),
}

impl GoogleCloudPropagator {
    /// Creates the propagator.
    #[must_use]
    pub const fn new() -> Self {
        GoogleCloudPropagator { _private: () }
    }
}

impl TextMapPropagator for GoogleCloudPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let options = match SamplingState::from_context(context) {
            Some(SamplingState::Accept | SamplingState::Debug) => ";o=1",
            Some(SamplingState::Deny) => ";o=0",
            Some(SamplingState::Defer) | None => "",
        };
        let span_id = u64::from_be_bytes(span.span_id().to_bytes());
        injector.set(HEADER, format!("{}/{span_id}{options}", span.trace_id()));
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        match extractor.get(HEADER).and_then(|value| parse(value.trim())) {
            Some((trace_id, span_id, state)) => {
                sampling::with_remote_span(context, trace_id, span_id, state, &TraceState::NONE)
            }
            None => context.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

fn parse(value: &str) -> Option<(TraceId, SpanId, SamplingState)> {
    let (trace, rest) = value.split_once('/')?;
    let (span, options) = match rest.split_once(';') {
        Some((span, options)) => (span, Some(options.strip_prefix("o=")?)),
        None => (rest, None),
    };
    let trace_id = sampling::trace_id(trace).filter(|_| trace.len() == 32)?;
    let span_id = SpanId::from(decimal(span)?);
    let state = match options {
        None => SamplingState::Defer,
        // Only the lowest bit has a meaning.
        Some(options) if decimal(options)? & 1 == 1 => SamplingState::Accept,
        Some(_) => SamplingState::Deny,
    };
    (span_id != SpanId::INVALID).then_some((trace_id, span_id, state))
}

/// Parses a decimal number without a sign, which the standard library's parser would accept.
fn decimal(value: &str) -> Option<u64> {
    let is_number = value.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then_some(value)?.parse().ok()
}
