//! Context propagation: propagators for several formats, and functions to inject and extract.
//!
//! RPCs through this crate's layers and attribute propagate their context already. Use this module
//! for calls made by hand, for queue messages, and for formats other than W3C Trace Context.
//!
//! | format | propagator | in `OTEL_PROPAGATORS` |
//! |---|---|---|
//! | [W3C Trace Context, level 2](https://www.w3.org/TR/trace-context-2/) | [`TraceContextPropagator`] | `tracecontext` |
//! | [W3C Baggage](https://www.w3.org/TR/baggage/) | [`BaggagePropagator`] | `baggage` |
//! | [B3](https://github.com/openzipkin/b3-propagation) | [`B3Propagator::single`], [`B3Propagator::multi`] | `b3`, `b3multi` |
//! | [Jaeger](https://www.jaegertracing.io/sdk-migration/#propagation-format) | [`JaegerPropagator`] | `jaeger` |
//! | OT Trace, of `OpenTracing`'s basic tracers | [`OtTracePropagator`] | `ottrace` |
//! | [gRPC's binary format](https://github.com/grpc/proposal/blob/master/A72-open-telemetry-tracing.md) | [`GrpcTraceBinPropagator`] | `grpc-trace-bin` |
//! | [Google Cloud Trace](https://cloud.google.com/trace/docs/trace-context) | [`GoogleCloudPropagator`] | `gcp` |
//! | [AWS X-Ray](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader) | `XRayPropagator`, with the Cargo feature `xray` | `xray` |
//!
//! All but the W3C's need the Cargo feature `propagators`. [`from_env`] reads the environment
//! variable `OTEL_PROPAGATORS`, and [`from_names`] any such list. [`parse_names`] returns the
//! warning, too. [`set_global`] sets the global propagator.
//!
//! # Formats
//!
//! | format | headers | kept | lost | spoken by |
//! |---|---|---|---|---|
//! | `tracecontext` | `traceparent`, `tracestate` | ids, sampled and random flag, `tracestate` | other flags, fields of later versions | all of OpenTelemetry; nearly all of today's tracers and proxies |
//! | `baggage` | `baggage` | keys, values, properties, order, duplicates | members outside of the grammar | all of OpenTelemetry |
//! | `b3` | `b3` | ids, decision (also deferred, or without ids), debug | the parent's id, `tracestate`, baggage | Zipkin, Istio, Envoy, Spring |
//! | `b3multi` | `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`, `x-b3-flags` | as `b3`; both read either | as `b3` | as `b3` |
//! | `jaeger` | `uber-trace-id`, `uberctx-…` | ids, decision, debug, baggage | the parent's id, `tracestate`, metadata of baggage | Jaeger's own clients |
//! | `ottrace` | `ot-tracer-traceid`, `ot-tracer-spanid`, `ot-tracer-sampled`, `ot-baggage-…` | 64 bits of the trace id, span id, decision, baggage of printable ASCII | the other 64 bits, `tracestate`, metadata of baggage | `OpenTracing`'s basic tracers, Lightstep; OpenTelemetry's agent for Java if told to |
//! | `grpc-trace-bin` | `grpc-trace-bin`, binary | ids, sampled and random flag | `tracestate`, baggage | gRPC's `OpenCensus` plugins; its OpenTelemetry plugins if told to |
//! | `gcp` | `x-cloud-trace-context` | ids, decision (also deferred) | `tracestate`, baggage | Google's load balancers, App Engine, Cloud Run |
//! | `xray` | `x-amzn-trace-id` | ids, decision (also deferred), other fields | a `tracestate` that the header cannot hold, baggage | AWS's load balancers, API Gateway, Lambda |
//!
//! **Precedence.** Propagators inject and extract in the order of the list. If two formats
//! disagree, the last valid one in the list wins, as in OpenTelemetry's agent for Java. If both
//! have the same ids, `tracestate` and the random flag stay. `baggage` replaces the baggage that
//! propagators before it have extracted. `jaeger` and `ottrace` add to it.
//!
//! # Limits
//!
//! Propagators read and write at most 64 members and 8,192 bytes of a `baggage` header. Members are
//! dropped as a whole, from the end. A `tracestate` of more than 32 members is invalid. Beyond
//! 4,096 bytes it loses whole members: first those of more than 128 characters, then others, from
//! the end. Baggage in headers of its own is limited to 64 entries and 8,192 encoded bytes.
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "propagators")] {
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
//! # }
//! ```
// Without the feature, links lead to what is not there.
#![cfg_attr(not(feature = "propagators"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "propagators")]
mod b3;
mod b3_headers;
mod baggage;
mod carrier;
mod composite;
#[cfg(feature = "propagators")]
mod google_cloud;
#[cfg(feature = "propagators")]
mod grpc_trace_bin;
mod hex;
#[cfg(feature = "propagators")]
mod jaeger;
pub(crate) mod known;
mod limited;
pub(crate) mod names;
#[cfg(feature = "propagators")]
mod ot_trace;
#[cfg(feature = "propagators")]
mod prefixed_baggage;
#[cfg(feature = "propagators")]
mod sampling;
#[cfg(all(test, feature = "propagators"))]
mod tests;
mod trace_context;
mod traceparent;
mod tracestate;
mod w3c;
#[cfg(feature = "xray")]
mod xray;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, global};

use crate::guard;

pub use baggage::BaggagePropagator;
pub use carrier::Carrier;
pub(crate) use carrier::Headers;
pub use composite::CompositePropagator;
pub use known::set_global;
pub(crate) use limited::Limited;
pub use names::{from_env, from_names, parse_names};
pub use trace_context::{TraceContextPropagator, mark_random};
pub(crate) use trace_context::{non_recording, with_non_recording_span, with_recording_span};
#[cfg(any(test, fuzzing))]
pub(crate) use w3c::W3c;
#[cfg(feature = "xray")]
pub use xray::XRayPropagator;
#[cfg(feature = "propagators")]
pub use {
    b3::B3Propagator, google_cloud::GoogleCloudPropagator, grpc_trace_bin::GrpcTraceBinPropagator,
    jaeger::JaegerPropagator, ot_trace::OtTracePropagator, sampling::SamplingState,
};

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
        // A leftover `tracestate` would belong to another trace. `baggage` stays: callers may set
        // it by hand, and no span owns it.
        for field in propagator.fields().filter(|field| *field != baggage::BAGGAGE) {
            carrier.remove_field(field);
            // Leftovers of the other B3 encoding would be extracted as well: the single header even
            // takes precedence over the multiple ones.
            if field == b3_headers::SINGLE || field == b3_headers::TRACE_ID {
                for field in b3_headers::ALL {
                    carrier.remove_field(field);
                }
            }
        }
    }
    propagator.inject_context(context, &mut Limited(carrier.injector()));
}

/// Returns `context` without the remote caller's span and without its sampling decision.
pub(crate) fn without_remote_parent(context: &Context) -> Context {
    let context = context.with_remote_span_context(SpanContext::NONE);
    #[cfg(feature = "propagators")]
    let context = sampling::without_decision(context);
    context
}
