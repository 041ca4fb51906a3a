//! Options of the layers that last until the end of a call, the same on both sides.
//!
//! A call without them costs nothing more: see [`Extras`](crate::rpc::extras::Extras).

/// Implements the methods that set these options of a layer.
///
/// The layer has the methods of [`options`](super::options::options), too.
macro_rules! call_options {
    ($layer:ty, $side:expr) => {
        impl $layer {
            /// Sets which status codes are failures, by `rpc.method` and code.
            ///
            /// A failure has `error.type`, and its span has the status `Error`. `Some` decides, and
            /// `None` leaves it to the semantic conventions: every code but `OK` on a client, and
            /// the codes of a server's own mistakes on a server. `OK` is never a failure, and a
            /// panic always is. A method that is not known is `_OTHER`. If the function
            /// [panics](crate::docs::emitted#panics), the conventions decide. If the option is set
            /// again, it replaces the earlier function.
            ///
            /// ```
            /// use otel_runtime::{ClientLayer, ServerLayer};
            /// use tonic::Code;
            ///
            /// let server = ServerLayer::new().failures(|method, code| match (method, code) {
            ///     ("shop.Orders/Place", Code::ResourceExhausted) => Some(true),
            ///     _ => None,
            /// });
            /// let client = ClientLayer::new("shop.example:50051").failures(|_, code| match code {
            ///     Code::NotFound | Code::Cancelled => Some(false),
            ///     _ => None,
            /// });
            /// # let _ = (server, client);
            /// ```
            #[must_use]
            pub fn failures(
                self,
                is_failure: impl Fn(&str, tonic::Code) -> Option<bool> + Send + Sync + 'static,
            ) -> Self {
                let failures = $crate::grpc::failures::Failures::new(is_failure);
                self.with_options(|options| options.call_mut().failures = Some(failures))
            }

            /// Counts calls that start, and their messages while they run.
            ///
            /// Spans and durations come when a stream ends; these counters go up with each message:
            /// [Message counts](crate::docs::emitted#message-counts) has their names. The span has
            /// the numbers of its messages at the end, and, on a server, the number of earlier
            /// attempts if the client sends it (`grpc-previous-rpc-attempts`). Of several values of
            /// that header, the first counts.
            ///
            /// Messages of a request are counted only in a `tonic::body::Body`, which tonic's own
            /// clients and servers use.
            ///
            /// ```
            /// use otel_runtime::{ClientLayer, ServerLayer};
            ///
            /// let server = ServerLayer::new().message_counts();
            /// let client = ClientLayer::new("shop.example:50051").message_counts();
            /// # let _ = (server, client);
            /// ```
            #[must_use]
            pub fn message_counts(self) -> Self {
                self.with_options(|options| options.call_mut().message_counts = true)
            }

            /// Logs one `tracing` event for each of these calls, when it ends.
            ///
            /// The event belongs to the RPC's span, and has the target `otel_runtime::calls`. Its
            /// level is ERROR if the server failed, WARN if a client's call did, and INFO for any
            /// other outcome. [Its fields](crate::docs::emitted#log-events) are the method, the
            /// code, the duration, the other end, and the numbers of messages. If the option is
            /// set several times, each call is logged that one of them selects.
            ///
            /// ```
            /// use std::time::Duration;
            ///
            /// use otel_runtime::{ClientLayer, LoggedCalls, ServerLayer};
            ///
            /// let server = ServerLayer::new().log_calls(LoggedCalls::All);
            /// let client = ClientLayer::new("shop.example:50051")
            ///     .log_calls(LoggedCalls::Failures)
            ///     .log_calls(LoggedCalls::SlowerThan(Duration::from_secs(1)));
            /// # let _ = (server, client);
            /// ```
            #[must_use]
            pub fn log_calls(self, calls: $crate::LoggedCalls) -> Self {
                self.with_options(|options| options.call_mut().log.get_or_insert_default().add(calls))
            }

            /// Sets which status codes are failures, by their names. For otel-setup.
            #[doc(hidden)]
            #[must_use]
            pub fn failures_by_code(self, codes: Vec<(&'static str, bool)>) -> Self {
                self.failures(move |_, code| {
                    let name = $crate::grpc::outcome::Outcome::new(code, "").code_str();
                    let code = codes.iter().find(|(code, _)| *code == name);
                    code.map(|(_, is_failure)| *is_failure)
                })
            }

            /// Adds attributes of your own to the duration and to active requests.
            ///
            /// The function returns their values for a request, `None` or an empty one if it lacks
            /// an attribute. The layer distinguishes the first 100 values, or combinations of
            /// values, that it meets. The attributes of all further ones are `_OTHER`, so callers
            /// cannot add time series without end. A request without any value does not count, and
            /// never has the attributes.
            /// [`metric_attribute_limit`](Self::metric_attribute_limit) sets another limit. Values
            /// are cut to 256 bytes. Exemplars have no series of these attributes, and
            /// [the old names](crate::docs::emitted#beside-the-old-names) lack them.
            ///
            /// A program that makes ever new layers, such as one for each tenant, is bounded, too:
            /// with one [`Instrumentation`](crate::Instrumentation), such as the global one, all
            /// layers with the same keys distinguish 1,000 values together, or those of a larger
            /// limit.
            ///
            /// A key that these metrics have anyway, such as `rpc.method`, that is there twice, or
            /// that is empty, is ignored with a warning, and so are its values: they do not count
            /// as further combinations. Setting the option again replaces the earlier attributes.
            ///
            /// Series multiply: 101 tenants, 10 methods and 5 codes are 5,050, and the SDK
            /// aggregates those beyond 2,000 unless a view has a larger `cardinality_limit`.
            ///
            /// If the function [panics](crate::docs::emitted#panics), metrics lack the attributes.
            ///
            /// ```
            /// use otel_runtime::{ClientLayer, RpcRequest, ServerLayer};
            ///
            /// fn tenant<'a>(request: &RpcRequest<'a>) -> [Option<&'a str>; 1] {
            ///     let tenant = request.headers().get("x-tenant");
            ///     [tenant.and_then(|tenant| tenant.to_str().ok())]
            /// }
            ///
            /// let server = ServerLayer::new().metric_attributes(["tenant"], tenant);
            /// let client = ClientLayer::new("shop.example:50051").metric_attributes(["tenant"], tenant);
            /// # let _ = (server, client);
            /// ```
            #[must_use]
            pub fn metric_attributes<const N: usize>(
                self,
                keys: [&'static str; N],
                values: impl for<'a> Fn(&$crate::RpcRequest<'a>) -> [Option<&'a str>; N] + Send + Sync + 'static,
            ) -> Self {
                self.with_options(|options| {
                    let limit = options.metric_attribute_limit;
                    let attributes =
                        $crate::layer::metric_attributes::MetricAttributes::new($side, keys, limit, values);
                    options.metric_attributes = Some(attributes);
                })
            }

            /// Sets how many values of [`metric_attributes`](Self::metric_attributes) the layer
            /// distinguishes.
            #[must_use]
            pub fn metric_attribute_limit(self, limit: usize) -> Self {
                self.with_options(|options| {
                    options.metric_attribute_limit = Some(limit);
                    let attributes = options.metric_attributes.as_ref();
                    options.metric_attributes = attributes.map(|attributes| attributes.with_limit(limit));
                })
            }
        }
    };
}

pub(crate) use call_options;
