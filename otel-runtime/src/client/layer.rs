//! The layer around a channel: it records every outgoing call.

use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;

use super::target::Target;
use crate::layer::call_options::call_options;
use crate::layer::options::{Options, options};
use crate::method::registry::MethodRegistry;

/// A layer that records every call of a client, and propagates its trace to the server.
///
/// The layer wraps a `tonic::transport::Channel`, a balanced one, or any other service that a
/// generated client accepts. Each call gets a CLIENT span, a child of the current span, which the
/// propagator injects into the request's metadata, replacing what is there. The call ends with the
/// trailers, or when the response or its stream is dropped. [What every RPC
/// emits](crate::docs::emitted) lists the spans and metrics.
///
/// # Example
///
/// `TracedChannel` needs one line and an `Endpoint`. With options, around a channel of your own:
///
/// ```no_run
/// use examples::helloworld::{HelloRequest, greeter_client::GreeterClient};
/// use otel_runtime::ClientLayer;
/// use tonic::transport::Endpoint;
/// use tower::ServiceBuilder;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let channel = Endpoint::from_static("http://greeter.example:50051").connect().await?;
/// let channel = ServiceBuilder::new()
///     .layer(ClientLayer::new("greeter.example:50051").request_headers(["x-tenant"]))
///     .service(channel);
/// let mut client = GreeterClient::new(channel);
/// client.say_hello(HelloRequest { name: "Ada".into() }).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Retries and timeouts
///
/// A retry outside of this layer (before it in a `ServiceBuilder`) makes several calls, each with a
/// span and a duration of its own; the server sees each as a child of its own span. A retry inside
/// (after it) stays one call, whose span covers all attempts, as the conventions define a logical
/// call. A timeout outside drops the call, which then ends with `CANCELLED`, or with
/// `DEADLINE_EXCEEDED` if its `grpc-timeout` (`Request::set_timeout`) has passed. A timeout inside
/// ends it with an error, and `error.type` = `timed_out`. tonic's own timers end with the headers
/// of the response: a stream of responses runs on behind its deadline.
///
/// # Errors
///
/// An error of the service becomes the `tonic::Status` that a generated client would make of it
/// anyway, with the error as its source. A call that gets no response, or only a part of one, ends
/// with that status code, and with the `error.type` of its cause: `connection_refused`,
/// `connection_reset` (a connection that is gone, also if the socket says `BrokenPipe` or
/// `UnexpectedEof`), `not_connected`, `address_not_available`, `host_unreachable`,
/// `network_unreachable`, `network_down`, `timed_out`, `not_found` (no such Unix domain socket),
/// `permission_denied`, `invalid_data` (TLS), `connect_error` (a connection that failed for any
/// other reason). Without a known cause, `error.type` is the code. If tonic's own deadline timer
/// fires, the caller gets `CANCELLED` from tonic; span and metrics have `DEADLINE_EXCEEDED`.
///
/// If the generated client cannot decode a message, it drops the response, which the layer can only
/// record as `CANCELLED`.
///
/// # Names
///
/// The method's name is that in the `GrpcMethod` extension, which generated clients set. A request
/// without one has a path that somebody else has chosen, as in a proxy. Its span is named `grpc`,
/// with `rpc.method` = `_OTHER` and, on the span only, `rpc.method_original`, unless it is one of
/// the [known methods](Self::known_methods), or a server has answered it with more than a bare
/// status.
///
/// # Request streams
///
/// The stream that produces a client's messages is polled in the call's context, so its spans and
/// log records belong to the call. The first messages are polled before the request is handed to
/// the channel.
///
/// # Filters
///
/// A call that a [filter](Self::filter) rejects still propagates the current trace. To switch the
/// layer off by a setting, [filter](crate::filter#off-by-a-setting) all calls:
/// `tower::util::option_layer` does not compile around tonic, since the layer changes the types of
/// the response's body and of the error.
///
/// # Suppressed telemetry
///
/// While telemetry is suppressed (`opentelemetry::Context::is_telemetry_suppressed`), as exporters
/// do for their own calls, nothing is recorded, and no metadata is injected.
#[derive(Clone, Debug)]
pub struct ClientLayer {
    pub(super) options: Arc<Options>,
    pub(super) registry: Arc<MethodRegistry>,
}

/// The layer of a configuration file, whose options are the defaults.
static CONFIGURED: OnceLock<ClientLayer> = OnceLock::new();

impl ClientLayer {
    /// Creates a layer for a channel to this target, with the global providers.
    ///
    /// The target is the address that the channel is configured with, never one that it resolves
    /// to. It becomes `server.address` and `server.port`: `http://greeter.example:50051`,
    /// `greeter.example:50051`, `dns:///greeter.example:50051`, `[2001:db8::1]:50051`,
    /// `unix:///run/greeter.sock`, and any other [gRPC name]. A target of no known form becomes the
    /// address as it is. For a balanced channel, use the name of the servers as a whole.
    ///
    /// If otel-setup has read a [configuration file], the layer starts with the options in it.
    ///
    /// [gRPC name]: https://github.com/grpc/grpc/blob/master/doc/naming.md
    /// [configuration file]: https://docs.rs/otel-setup/latest/otel_setup/docs/configuration_file/
    pub fn new(target: impl AsRef<str>) -> Self {
        let target = Target::parse(target.as_ref());
        ClientLayer {
            options: CONFIGURED
                .get()
                .map(|layer| Arc::clone(&layer.options))
                .unwrap_or_default(),
            registry: Arc::new(MethodRegistry::for_client(&target.attributes())),
        }
    }

    /// Makes the options of this layer the defaults of all layers that are created later. For
    /// otel-setup.
    #[doc(hidden)]
    pub fn set_default(self) {
        // The first call counts: telemetry is set up once.
        let _ = CONFIGURED.set(self);
    }

    /// Records gRPC's own metrics of message sizes (gRFC A66).
    ///
    /// `grpc.client.attempt.sent_total_compressed_message_size` and
    /// `grpc.client.attempt.rcvd_total_compressed_message_size` are the bytes of all messages that
    /// a call sent and received, compressed if they are. Their attributes are `grpc.method`
    /// (`other` if the method is not known), `grpc.target` and `grpc.status`. A message counts as
    /// sent once the channel has taken it.
    ///
    /// An attempt is a call that passes this layer: retries outside of it are several, and retries
    /// inside of it are one.
    ///
    /// ```
    /// use otel_runtime::ClientLayer;
    ///
    /// let layer = ClientLayer::new("shop.example:50051").message_sizes();
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn message_sizes(self) -> Self {
        self.with_options(|options| options.call_mut().message_sizes = true)
    }

    /// Leaves `server.address` and `server.port` out of metrics. Spans keep them.
    ///
    /// Use this if a program has many targets, such as the addresses that it resolves by itself.
    /// Each of them has time series of its own, for as long as the program runs. After 1,000
    /// targets, the metrics of any further ones lack the address anyway.
    #[must_use]
    pub fn metrics_without_target(mut self) -> Self {
        self.registry = Arc::new(self.registry.without_metric_target());
        self
    }
}

options! { ClientLayer }
call_options! { ClientLayer, crate::grpc::side::Side::Client }
