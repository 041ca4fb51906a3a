//! What can be said to a layer of either side.

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;

use crate::call::Call;
use crate::capture::Captured;
use crate::filter::Filter;
use crate::instrumentation::{Chosen, Instrumentation};
use crate::panic;
use crate::request::RpcRequest;

type MakeAttributes = Arc<dyn Fn(&RpcRequest<'_>) -> Vec<KeyValue> + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) filters: Vec<Filter>,
    pub(crate) captured: Captured,
    pub(crate) span_attributes: Option<MakeAttributes>,
    pub(crate) instrumentation: Option<Instrumentation>,
}

impl Options {
    /// Whether the RPC of a request is recorded.
    pub(crate) fn record(&self, request: &RpcRequest<'_>) -> bool {
        self.filters.iter().all(|filter| filter.records(request))
    }

    /// What RPCs are recorded with.
    pub(crate) fn instrumentation(&self) -> Chosen {
        match &self.instrumentation {
            Some(own) => Chosen::Own(own.clone()),
            None => Chosen::Global(Instrumentation::global()),
        }
    }

    /// Adds the attributes that the user makes of the request.
    pub(crate) fn annotate(&self, call: &Call, request: &RpcRequest<'_>) {
        if let Some(attributes) = &self.span_attributes {
            call.set_attributes(|| {
                let attributes = panic::SPAN_ATTRIBUTES.answer(|| attributes(request));
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

/// The methods that set them, the same for both layers. The layer has its options in an `Arc`, and its methods in `methods`.
macro_rules! options {
    ($layer:ty) => {
        impl $layer {
            /// Records only the RPCs that the [filter](crate::filter), too, records.
            #[must_use]
            pub fn filter(self, filter: $crate::Filter) -> Self {
                self.with(|options| options.filters.push(filter))
            }

            /// The request headers that become attributes of the span, `rpc.request.header.<name>`, and never another. Names have no case; one that no header can have is left out, with a warning.
            ///
            /// Of each header the first 16 values are kept, and of each value the first 1,024 bytes. What is binary (`-bin`, or not UTF-8) is cut as the base64 that it is written in.
            #[must_use]
            pub fn request_headers(self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
                let names = $crate::capture::Names::request_headers(names);
                self.with(|options| options.captured.request_headers = names)
            }

            /// The response headers that become attributes of the span, `rpc.response.header.<name>`, and never another. They have the [same limits](Self::request_headers).
            #[must_use]
            pub fn response_headers(self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
                let names = $crate::capture::Names::response_headers(names);
                self.with(|options| options.captured.response_headers = names)
            }

            /// The response trailers that become attributes of the span, `rpc.response.trailer.<name>`, and never another. They have the [same limits](Self::request_headers).
            #[must_use]
            pub fn response_trailers(self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
                let names = $crate::capture::Names::response_trailers(names);
                self.with(|options| options.captured.response_trailers = names)
            }

            /// Adds attributes to each span that records, from its request. If the function [panics](crate#a-panic-in-what-you-give-it), it adds none.
            #[must_use]
            pub fn span_attributes<I>(
                self,
                attributes: impl Fn(&$crate::RpcRequest<'_>) -> I + Send + Sync + 'static,
            ) -> Self
            where
                I: IntoIterator<Item = KeyValue>,
            {
                self.with(|options| {
                    options.span_attributes = Some(Arc::new(move |request| attributes(request).into_iter().collect()));
                })
            }

            /// Methods that exist, by their full names: `grpc.health.v1.Health/Check`.
            #[must_use]
            pub fn methods(self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
                self.methods.learn_names(names);
                self
            }

            /// Records with these providers and this propagator, instead of the global ones.
            #[must_use]
            pub fn instrumentation(self, instrumentation: $crate::Instrumentation) -> Self {
                self.with(|options| options.instrumentation = Some(instrumentation))
            }

            fn with(mut self, set: impl FnOnce(&mut $crate::options::Options)) -> Self {
                set(Arc::make_mut(&mut self.options));
                self
            }
        }
    };
}

pub(crate) use options;
