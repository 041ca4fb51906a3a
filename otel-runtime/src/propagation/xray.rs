//! AWS X-Ray's format.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};

use super::sampling::{self, SamplingState};
use crate::limits;

const HEADER: &str = "x-amzn-trace-id";

/// The fields with a meaning, as keys of a `tracestate`.
const RESERVED: [&str; 3] = ["root", "parent", "sampled"];

/// The trace flag by which `opentelemetry-aws` marks a deferred sampling decision. W3C Trace
/// Context does not define it.
const DEFERRED: TraceFlags = TraceFlags::new(0x02);

/// [AWS X-Ray's
/// format](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader):
/// `X-Amzn-Trace-Id: Root=1-{8 digits}-{24 digits};Parent={16 digits};Sampled={0, 1 or ?}`. It
/// needs the cargo feature `xray`.
///
/// Wraps the propagator of [`opentelemetry-aws`](https://docs.rs/opentelemetry-aws), with which a
/// header that has no parent, or a malformed one, takes the place of a span that is known already,
/// and the spans below a deferred decision (`Sampled=?`) stay deferred for ever. This one leaves
/// such a header alone, and defers as in [`SamplingState::Defer`].
///
/// Other fields of the header (`Lineage`, say) are kept in the span's `tracestate`, and go on,
/// unless they are more than 4,096 bytes.
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
        // An entry becomes a field of the header, so it must not be one that decides about the
        // trace.
        let is_no_field = |(key, value): (&str, &str)| RESERVED.contains(&key) || value.contains(';');
        let size = |(key, value): (&str, &str)| key.len() + value.len() + 2;
        let length: usize = span.trace_state().into_iter().map(size).sum();
        let trace_state = if length > limits::TRACESTATE.bytes || span.trace_state().into_iter().any(is_no_field) {
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
        let read = self.inner.extract_with_context(&Context::new(), extractor);
        let read = read.span();
        let read = read.span_context();
        if !read.is_valid() {
            return context.clone();
        }
        let state = if read.is_sampled() {
            SamplingState::Accept
        } else if read.trace_flags() & DEFERRED == DEFERRED {
            SamplingState::Defer
        } else {
            SamplingState::Deny
        };
        sampling::with_remote_span(context, read.trace_id(), read.span_id(), state, read.trace_state())
    }

    fn fields(&self) -> FieldIter<'_> {
        self.inner.fields()
    }
}

/// Returns `true` if the ids have the required length and digits. `opentelemetry-aws` accepts
/// others, too.
fn is_well_formed(header: &str) -> bool {
    let field = |name: &str| {
        let mut values = header.trim().split(';').filter_map(|field| field.strip_prefix(name));
        // The one that counts, if there are several.
        values.next_back()
    };
    let is_hex = |value: &str, length| value.len() == length && value.bytes().all(|digit| digit.is_ascii_hexdigit());
    let root = field("Root=").map(|root| root.split('-').collect::<Vec<_>>());
    let is_root = matches!(root.as_deref(), Some(["1", time, unique]) if is_hex(time, 8) && is_hex(unique, 24));
    is_root && field("Parent=").is_some_and(|parent| is_hex(parent, 16))
}
