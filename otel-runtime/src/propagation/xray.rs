//! Propagator for AWS X-Ray's format.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};

use super::sampling::{self, SamplingState};
use crate::limits;

const HEADER: &str = "x-amzn-trace-id";

/// Fields of the header with a meaning of their own. As `tracestate` keys they are in lower case.
const RESERVED: [&str; 3] = ["root", "parent", "sampled"];

/// Flag of `opentelemetry-aws` for a deferred decision. W3C Trace Context has no such flag.
const DEFERRED: TraceFlags = TraceFlags::new(0x02);

/// Propagator for [AWS X-Ray's format][1]. Requires the Cargo feature `xray`.
///
/// The header is
/// `X-Amzn-Trace-Id: Root=1-{8 digits}-{24 digits};Parent={16 digits};Sampled={0, 1 or ?}`.
///
/// Wraps the propagator of [`opentelemetry-aws`](https://docs.rs/opentelemetry-aws), with two
/// differences:
///
/// * A malformed header, or one without a parent, is ignored. The wrapped propagator lets it
///   replace a span that another propagator extracted.
/// * A deferred decision (`Sampled=?`) becomes [`SamplingState::Defer`], which ends when this
///   process starts a span. With the wrapped propagator all spans below stay deferred.
///
/// Other fields of the header, such as `Lineage`, are stored in the span's `tracestate`. They are
/// propagated if the `tracestate` has at most 4,096 bytes.
///
/// [1]: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::propagation::TextMapPropagator;
/// use opentelemetry::trace::TraceContextExt;
/// use otel_runtime::propagation::XRayPropagator;
///
/// let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
/// let headers = HashMap::from([("x-amzn-trace-id".to_owned(), header.to_owned())]);
/// let context = XRayPropagator::new().extract(&headers);
/// assert!(context.span().span_context().is_sampled());
///
/// let mut headers = HashMap::new();
/// XRayPropagator::new().inject_context(&context, &mut headers);
/// assert_eq!(headers["x-amzn-trace-id"], header);
/// ```
#[derive(Clone, Debug, Default)]
pub struct XRayPropagator {
    inner: opentelemetry_aws::trace::XrayPropagator,
}

impl XRayPropagator {
    /// Creates the propagator.
    #[must_use]
    pub fn new() -> Self {
        XRayPropagator::default()
    }
}

impl TextMapPropagator for XRayPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        let flags = match SamplingState::from_context(context) {
            Some(SamplingState::Accept | SamplingState::Debug) => TraceFlags::SAMPLED,
            Some(SamplingState::Defer) => DEFERRED,
            Some(SamplingState::Deny) | None => TraceFlags::NOT_SAMPLED,
        };
        // Each entry becomes a field of the header. A `tracestate` from another system must not be
        // able to override the root, the parent or the decision, so such a one is dropped.
        let is_forbidden = |(key, value): (&str, &str)| RESERVED.contains(&key) || value.contains(';');
        let size = |(key, value): (&str, &str)| key.len() + value.len() + 2;
        let length: usize = span.trace_state().into_iter().map(size).sum();
        let trace_state = if length > limits::TRACESTATE.bytes || span.trace_state().into_iter().any(is_forbidden) {
            TraceState::NONE
        } else {
            span.trace_state().clone()
        };
        let span = SpanContext::new(span.trace_id(), span.span_id(), flags, span.is_remote(), trace_state);
        self.inner
            .inject_context(&Context::new().with_remote_span_context(span), injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        if !extractor.get(HEADER).is_some_and(is_well_formed) {
            return context.clone();
        }
        let extracted = self.inner.extract_with_context(&Context::new(), extractor);
        let extracted = extracted.span();
        let extracted = extracted.span_context();
        if !extracted.is_valid() {
            return context.clone();
        }
        let state = if extracted.is_sampled() {
            SamplingState::Accept
        } else if extracted.trace_flags() & DEFERRED == DEFERRED {
            SamplingState::Defer
        } else {
            SamplingState::Deny
        };
        sampling::with_remote_span(
            context,
            extracted.trace_id(),
            extracted.span_id(),
            state,
            extracted.trace_state(),
        )
    }

    fn fields(&self) -> FieldIter<'_> {
        self.inner.fields()
    }
}

/// Returns `true` if the ids of `header` have the length and the digits that the format requires.
///
/// `opentelemetry-aws` accepts others, too.
fn is_well_formed(header: &str) -> bool {
    let field = |name: &str| {
        let mut values = header.trim().split(';').filter_map(|field| field.strip_prefix(name));
        // If a field is repeated, `opentelemetry-aws` uses the last one.
        values.next_back()
    };
    let is_hex = |value: &str, length| value.len() == length && value.bytes().all(|digit| digit.is_ascii_hexdigit());
    let root = field("Root=").map(|root| root.split('-').collect::<Vec<_>>());
    let is_root = matches!(root.as_deref(), Some(["1", time, unique]) if is_hex(time, 8) && is_hex(unique, 24));
    is_root && field("Parent=").is_some_and(|parent| is_hex(parent, 16))
}
