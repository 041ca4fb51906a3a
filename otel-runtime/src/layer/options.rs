//! Options of the layers, the same on both sides.

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;

use super::filter::Filter;
use super::metric_attributes::MetricAttributes;
use super::request::RpcRequest;
use crate::attributes::captured_headers::CapturedHeaders;
use crate::guard;
use crate::instrumentation::{Instrumentation, InstrumentationRef};
use crate::rpc::call::Call;
use crate::rpc::call_options::CallOptions;

type MakeAttributes = Arc<dyn Fn(&RpcRequest<'_>) -> Vec<KeyValue> + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) filters: Vec<Filter>,
    pub(crate) captured_headers: CapturedHeaders,
    pub(crate) span_attributes: Option<MakeAttributes>,
    pub(crate) instrumentation: Option<Instrumentation>,
    pub(crate) metric_attributes: Option<MetricAttributes>,
    pub(crate) metric_attribute_limit: Option<usize>,
    /// `None` if all of them are off.
    pub(crate) call: Option<Arc<CallOptions>>,
}

impl Options {
    /// Returns `true` if all filters record the call of a request.
    pub(crate) fn should_record(&self, request: &RpcRequest<'_>) -> bool {
        self.filters.iter().all(|filter| filter.should_record(request))
    }

    /// Returns the instrumentation that calls are recorded with.
    pub(crate) fn instrumentation(&self) -> InstrumentationRef {
        InstrumentationRef::or_global(self.instrumentation.as_ref())
    }

    /// Returns the options that calls need until their end, to set one of them.
    pub(crate) fn call_mut(&mut self) -> &mut CallOptions {
        Arc::make_mut(self.call.get_or_insert_default())
    }

    /// Sets the user's own attributes on the metrics of a call that has just started.
    #[inline]
    pub(crate) fn set_metric_attributes(&self, call: &mut Call, request: &RpcRequest<'_>) {
        if let Some(attributes) = &self.metric_attributes {
            match call.known_method() {
                Some(method) => call.set_own_metrics(attributes.series(request, method, call.instrumentation())),
                None => call.set_own_attributes(attributes.set_of(request)),
            }
        }
    }

    /// Returns `true` if an option needs the number of messages.
    pub(crate) fn counts_messages(&self) -> bool {
        self.call.as_ref().is_some_and(|options| options.counts_messages())
    }

    /// Returns `true` if messages are counted by method.
    pub(crate) fn counts_by_method(&self) -> bool {
        self.call.as_ref().is_some_and(|options| options.message_counts)
    }

    /// Returns `true` if gRPC's metrics of message sizes are recorded.
    pub(crate) fn records_message_sizes(&self) -> bool {
        self.call.as_ref().is_some_and(|options| options.message_sizes)
    }

    /// Returns `true` if calls need [`Extras`](crate::rpc::extras::Extras): for options, or for the
    /// legacy sizes of messages.
    #[inline]
    pub(crate) fn has_extras(&self, instrumentation: &Instrumentation) -> bool {
        self.call.is_some() || instrumentation.instruments().legacy().is_some()
    }

    /// Returns `true` if calls are logged.
    pub(crate) fn logs_calls(&self) -> bool {
        self.call.as_ref().is_some_and(|options| options.log.is_some())
    }

    /// Returns `true` if the user decides which status codes are failures.
    pub(crate) fn has_failures(&self) -> bool {
        self.call.as_ref().is_some_and(|options| options.failures.is_some())
    }

    /// Adds the attributes that the user's function makes of the request.
    pub(crate) fn add_span_attributes(&self, call: &Call, request: &RpcRequest<'_>) {
        if let Some(span_attributes) = &self.span_attributes {
            call.set_attributes(&mut || {
                let attributes = guard::SPAN_ATTRIBUTES.run(|| span_attributes(request));
                attributes.unwrap_or_default()
            });
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// Implements the methods that set the options of a layer.
///
/// The layer has a field `options: Arc<Options>` and a field `registry: Arc<MethodRegistry>`.
macro_rules! options {
    ($layer:ty) => {
        impl $layer {
            /// Records only the calls that this [filter](crate::filter) records.
            ///
            /// If there are several filters, all of them must record a call. A filter also switches
            /// the layer [off by a setting](crate::filter#off-by-a-setting).
            #[must_use]
            pub fn filter(self, filter: $crate::Filter) -> Self {
                self.with_options(|options| options.filters.push(filter))
            }

            /// Sets the request headers that become attributes of the span,
            /// `rpc.request.header.<name>`. No other header is ever recorded.
            ///
            /// Names are case-insensitive; an invalid name is ignored, with a warning. The first 16
            /// values of each header are recorded, and the first 1,024 bytes of each value. Binary
            /// values (`-bin`, or not UTF-8) are cut as the base64 that they are recorded in.
            ///
            /// A name may be a pattern: `x-tenant-*` stands for all headers whose names begin with
            /// `x-tenant-`, and records the first 32 of them. It never records
            /// [a header that may hold a secret](crate::docs::trust#secrets).
            ///
            /// ```
            /// use otel_runtime::{ClientLayer, ServerLayer};
            ///
            /// let server = ServerLayer::new().request_headers(["user-agent", "x-tenant-*"]);
            /// let client = ClientLayer::new("shop.example:50051").response_trailers(["x-cost-*"]);
            /// # let _ = (server, client);
            /// ```
            #[must_use]
            pub fn request_headers(self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
                let names = $crate::attributes::captured_headers::HeaderList::request_headers(names);
                self.with_options(|options| options.captured_headers.request_headers = names)
            }

            /// Sets the response headers that become attributes of the span,
            /// `rpc.response.header.<name>`, with the limits of
            /// [`request_headers`](Self::request_headers).
            #[must_use]
            pub fn response_headers(self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
                let names = $crate::attributes::captured_headers::HeaderList::response_headers(names);
                self.with_options(|options| options.captured_headers.response_headers = names)
            }

            /// Sets the response trailers that become attributes of the span,
            /// `rpc.response.trailer.<name>`, with the limits of
            /// [`request_headers`](Self::request_headers).
            #[must_use]
            pub fn response_trailers(self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
                let names = $crate::attributes::captured_headers::HeaderList::response_trailers(names);
                self.with_options(|options| options.captured_headers.response_trailers = names)
            }

            /// Adds attributes to each recording span, made of its request.
            ///
            /// If the function [panics](crate::docs::emitted#panics), it adds none.
            #[must_use]
            pub fn span_attributes<I>(
                self,
                attributes: impl Fn(&$crate::RpcRequest<'_>) -> I + Send + Sync + 'static,
            ) -> Self
            where
                I: IntoIterator<Item = KeyValue>,
            {
                self.with_options(|options| {
                    options.span_attributes = Some(Arc::new(move |request| attributes(request).into_iter().collect()));
                })
            }

            /// Registers methods that exist, by their full names: `grpc.health.v1.Health/Check`.
            ///
            /// Calls of a method that the layer does not know are recorded as `_OTHER`.
            #[must_use]
            pub fn known_methods(self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
                self.registry.register_names(names);
                self
            }

            /// Records with these providers and this propagator, instead of the global ones.
            #[must_use]
            pub fn instrumentation(self, instrumentation: $crate::Instrumentation) -> Self {
                self.with_options(|options| options.instrumentation = Some(instrumentation))
            }

            fn with_options(mut self, set: impl FnOnce(&mut $crate::layer::options::Options)) -> Self {
                set(Arc::make_mut(&mut self.options));
                self
            }
        }
    };
}

pub(crate) use options;
