//! Context propagation: propagators for several formats, and functions to inject and extract.
//!
//! RPCs through this crate's layers and attribute propagate their context already. Use this module
//! for calls made by hand, for queue messages, and for formats other than W3C Trace Context.
//!
//! | format | propagator | in `OTEL_PROPAGATORS` | headers |
//! |---|---|---|---|
//! | [W3C Trace Context](https://www.w3.org/TR/trace-context/) | `opentelemetry_sdk`'s | `tracecontext` | `traceparent`, `tracestate` |
//! | [W3C Baggage](https://www.w3.org/TR/baggage/) | `opentelemetry_sdk`'s | `baggage` | `baggage` |
//! | [B3](https://github.com/openzipkin/b3-propagation) | [`B3Propagator::single`], [`B3Propagator::multi`] | `b3`, `b3multi` | `b3`, `x-b3-…` |
//! | [Jaeger](https://www.jaegertracing.io/sdk-migration/#propagation-format) | [`JaegerPropagator`] | `jaeger` | `uber-trace-id`, `uberctx-…` |
//! | [Google Cloud Trace](https://cloud.google.com/trace/docs/trace-context) | [`GoogleCloudPropagator`] | `gcp` | `x-cloud-trace-context` |
//! | [AWS X-Ray](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader) | `XRayPropagator`, with the cargo feature `xray` | `xray` | `x-amzn-trace-id` |
//!
//! With the cargo feature `propagators`, `from_env` reads the environment variable
//! `OTEL_PROPAGATORS`, and `from_names` from any such list. `parse_names` returns the warning, too.
//!
//! # Limits
//!
//! Propagators read and write at most 64 members and 8,192 bytes of a `baggage` header. For a
//! `tracestate` header the limits are 32 members and 4,096 bytes. Members are dropped as a whole,
//! from the end. Jaeger's baggage is limited to 64 entries and 8,192 encoded bytes.
//!
//! # Example
//!
//! ```
//! use otel_runtime::propagation::{self, B3Propagator};
//! use tonic::metadata::MetadataMap;
//!
//! // Once, in `main`.
//! propagation::set_global(B3Propagator::single());
//!
//! // Receive a message …
//! let mut metadata = MetadataMap::new();
//! metadata.insert("b3", "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1".parse().unwrap());
//! let context = propagation::extract(&metadata);
//!
//! // … and make a call on its behalf.
//! let mut headers = http::HeaderMap::new();
//! propagation::inject(&context, &mut headers);
//! assert_eq!(headers["b3"], "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1");
//! ```

mod b3;
mod baggage;
mod carrier;
mod composite;
mod google_cloud;
mod grpc_trace_bin;
mod hex;
mod jaeger;
pub(crate) mod known;
mod limited;
#[cfg(feature = "propagators")]
pub(crate) mod names;
mod ot_trace;
mod prefixed_baggage;
mod sampling;
#[cfg(test)]
mod tests;
mod trace_context;
mod traceparent;
mod tracestate;
mod w3c;
#[cfg(feature = "xray")]
mod xray;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};

use crate::guard;

pub use b3::B3Propagator;
pub use baggage::BaggagePropagator;
pub use carrier::Carrier;
pub(crate) use carrier::Headers;
pub use composite::CompositePropagator;
pub use google_cloud::GoogleCloudPropagator;
pub use grpc_trace_bin::GrpcTraceBinPropagator;
pub use jaeger::JaegerPropagator;
pub use known::set_global;
pub(crate) use limited::Limited;
#[cfg(feature = "propagators")]
pub use names::{from_env, from_names, parse_names};
pub use ot_trace::OtTracePropagator;
pub use sampling::SamplingState;
pub(crate) use sampling::without_remote_parent;
pub use trace_context::{TraceContextPropagator, mark_random};
pub(crate) use trace_context::{with_non_recording_span, with_recording_span};
pub(crate) use w3c::W3c;
#[cfg(feature = "xray")]
pub use xray::XRayPropagator;

/// Injects the span and the baggage of `context` into `carrier`, with the global propagator.
///
/// Replaces the span that `carrier` has. If `context` has no span, the one in `carrier` stays.
///
/// # Example
///
/// ```
/// use opentelemetry::Context;
/// use otel_runtime::propagation;
///
/// # let rpc = Context::current();
/// // In a spawned task, the RPC's context is no longer the current one.
/// let mut request = tonic::Request::new(());
/// propagation::inject(&rpc, request.metadata_mut());
/// ```
pub fn inject(context: &Context, carrier: &mut impl Carrier) {
    guard::PROPAGATOR.run(|| global::get_text_map_propagator(|propagator| replace(propagator, context, carrier)));
}

/// Injects the span and the baggage of the current context into `carrier`, like [`inject`].
///
/// # Example
///
/// ```
/// use otel_runtime::propagation;
///
/// let mut request = http::Request::get("https://example.com/").body(()).unwrap();
/// propagation::inject_current(request.headers_mut());
/// ```
pub fn inject_current(carrier: &mut impl Carrier) {
    Context::map_current(|current| inject(current, carrier));
}

/// Returns the current context with the span and baggage that the global propagator extracts.
///
/// If `carrier` has no valid span or baggage, that of the current context stays.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::trace::{FutureExt, TraceContextExt};
/// use otel_runtime::propagation;
///
/// async fn handle(message_headers: HashMap<String, String>) {
///     let sender = propagation::extract(&message_headers);
///     // Spans started in here are children of the sender's span.
///     async { /* … */ }.with_context(sender).await;
/// }
/// # let _ = handle;
/// ```
#[must_use]
pub fn extract(carrier: &impl Carrier) -> Context {
    let extractor = Limited(carrier.extractor());
    let found = guard::PROPAGATOR.run(|| global::get_text_map_propagator(|propagator| propagator.extract(&extractor)));
    found.unwrap_or_else(Context::current)
}

/// Injects `context` into `carrier`, after removing the span of another context from there.
///
/// If `context` has no span, the one in `carrier` stays.
pub(crate) fn replace(propagator: &dyn TextMapPropagator, context: &Context, carrier: &mut impl Carrier) {
    if context.span().span_context().is_valid() {
        // A leftover `tracestate` would belong to another trace. `baggage` stays: callers may set it
        // by hand, and no span owns it.
        for field in propagator.fields().filter(|field| *field != baggage::BAGGAGE) {
            carrier.remove_field(field);
            // Leftovers of the other B3 encoding would be extracted as well: the single header even
            // takes precedence over the multiple ones.
            if field == b3::SINGLE || field == b3::TRACE_ID {
                for field in b3::ALL {
                    carrier.remove_field(field);
                }
            }
        }
    }
    propagator.inject_context(context, &mut Limited(carrier.injector()));
}
