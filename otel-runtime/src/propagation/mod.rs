//! How a context travels: formats of headers, and one line each to write a context into them and to read one.
//!
//! RPCs through this crate's layers and attribute need none of it. It is for calls made by hand, for the messages of a queue, and for formats other than the W3C's.
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
//! With the cargo feature `propagators`, `from_env` makes one of the names in the environment variable `OTEL_PROPAGATORS`, and `from_names` of any such list; `parse_names` returns the warning beside it.
//!
//! # Limits
//!
//! Of a `baggage` the first 64 members are read and written, and of those as many as are within 8,192 bytes; of a `tracestate` the first 32, within 4,096 bytes. Members are left out as a whole. Jaeger's baggage
//! has the same 64 and 8,192, as it is written.
//!
//! # Example
//!
//! ```
//! use otel_runtime::propagation::{self, B3Propagator};
//! use tonic::metadata::MetadataMap;
//!
//! // Once, in `main`.
//! opentelemetry::global::set_text_map_propagator(B3Propagator::single());
//!
//! // Whoever receives a message …
//! let mut metadata = MetadataMap::new();
//! metadata.insert("b3", "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1".parse().unwrap());
//! let context = propagation::extract(&metadata);
//!
//! // … and makes a call because of it.
//! let mut headers = http::HeaderMap::new();
//! propagation::inject(&context, &mut headers);
//! assert_eq!(headers["b3"], "80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1");
//! ```

mod b3;
mod carrier;
mod google_cloud;
mod hex;
mod jaeger;
mod limited;
#[cfg(feature = "propagators")]
pub(crate) mod names;
mod sampling;
#[cfg(test)]
mod tests;
pub(crate) mod traceparent;
#[cfg(feature = "xray")]
mod xray;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};

use crate::guard;

pub use b3::B3Propagator;
pub use carrier::Carrier;
pub(crate) use carrier::Headers;
pub use google_cloud::GoogleCloudPropagator;
pub use jaeger::JaegerPropagator;
pub(crate) use limited::Limited;
#[cfg(feature = "propagators")]
pub use names::{from_env, from_names, parse_names};
pub use sampling::SamplingState;
pub(crate) use sampling::without_remote_parent;
#[cfg(feature = "xray")]
pub use xray::XRayPropagator;

/// Writes the span and the baggage of `context` into `carrier`, with the global propagator.
///
/// They take the place of those that another context left there. Without a span in `context`, those stay.
///
/// # Example
///
/// ```
/// use opentelemetry::Context;
/// use otel_runtime::propagation;
///
/// # let rpc = Context::current();
/// // In a task of its own, where the RPC's context is no longer the current one.
/// let mut request = tonic::Request::new(());
/// propagation::inject(&rpc, request.metadata_mut());
/// ```
pub fn inject(context: &Context, carrier: &mut impl Carrier) {
    guard::PROPAGATOR.run(|| global::get_text_map_propagator(|propagator| replace(propagator, context, carrier)));
}

/// Writes the span and the baggage of the current context into `carrier`, with the global propagator, as [`inject`] does.
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

/// The current context with the span and the baggage that the global propagator finds in `carrier`.
///
/// Where it finds none, or malformed ones, those of the current context stay.
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
///     // The spans made in here are children of the sender's.
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

/// Where baggage travels. A caller may have filled it by hand, and it does not belong to a span.
const BAGGAGE: &str = "baggage";

/// Writes the span and the baggage in `context` into `carrier`, in place of the span that another context left there.
///
/// Without a span in `context` there is nothing to replace one with, and what is there stays.
pub(crate) fn replace(propagator: &dyn TextMapPropagator, context: &Context, carrier: &mut impl Carrier) {
    if context.span().span_context().is_valid() {
        // A `tracestate` without its `traceparent` would be another trace's.
        for field in propagator.fields().filter(|field| *field != BAGGAGE) {
            carrier.remove_field(field);
            // What is left of the other encoding of B3 would be read as well, and the single header before the ones written.
            if field == b3::SINGLE || field == b3::TRACE_ID {
                for field in b3::ALL {
                    carrier.remove_field(field);
                }
            }
        }
    }
    propagator.inject_context(context, &mut Limited(carrier.injector()));
}
