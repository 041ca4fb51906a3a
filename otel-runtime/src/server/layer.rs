//! The layer around a server's services: it records every call, whether it reaches a handler or
//! not.

use std::fmt;
use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;

use super::inner_paths::InnerPaths;
use crate::layer::call_options::call_options;
use crate::layer::options::{Options, options};
use crate::layer::request::RpcRequest;
use crate::method::descriptor_set::for_each_method;
use crate::method::registry::MethodRegistry;
use crate::versions::Marks;

type Predicate = Arc<dyn Fn(&RpcRequest<'_>) -> bool + Send + Sync>;

/// A layer that records every gRPC call that reaches a server, whoever answers it.
///
/// A handler never learns of a call to an unknown method, of one that an interceptor rejects, of a
/// message that cannot be decoded or is too large, nor of a response that cannot be encoded. This
/// layer does: it stands between the connection and the services, and takes the status of a call
/// from the response on its way out. [What every RPC emits](crate::docs::emitted) lists the spans
/// and metrics.
///
/// # Example
///
/// ```no_run
/// use examples::helloworld::greeter_server::GreeterServer;
/// use otel_runtime::ServerLayer;
/// use otel_runtime::filter::{health_check, not};
/// use tonic::transport::Server;
/// # use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
/// # use tonic::{Request, Response, Status};
/// # struct MyGreeter;
/// # #[otel_runtime::traced_service]
/// # #[tonic::async_trait]
/// # impl Greeter for MyGreeter {
/// #     async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
/// #         Ok(Response::new(HelloReply::default()))
/// #     }
/// # }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// Server::builder()
///     .layer(ServerLayer::new().filter(not(health_check())))
///     .add_service(GreeterServer::new(MyGreeter))
///     .serve("127.0.0.1:50051".parse()?)
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// The layer works in any tower stack that serves tonic, also below a prefix of the path
/// (`axum::Router::nest`), and around or inside layers that rewrite paths.
///
/// Requests that are not gRPC pass through untouched. tonic serves a request whatever its
/// `content-type` is: if that is not `application/grpc`, the call starts when an annotated handler
/// gets it, or when a response with gRPC's `content-type` comes back. For grpc-web, put
/// `tonic_web::GrpcWebLayer` outside of this layer (before it in the order of `layer` calls), so
/// that it sees gRPC.
///
/// To switch the layer off by a setting, [filter](crate::filter#off-by-a-setting) all calls.
/// `tower::util::option_layer` does not compile around tonic, since the layer changes the type of
/// the response's body.
///
/// # With annotated services
///
/// If a service also has [`#[traced_service]`](crate::traced_service), a call still has one span
/// and one duration. The layer starts and ends the call. The attribute adds its fields, the headers
/// that it lists, its names, and the status of a response stream that was dropped.
/// `public_endpoint` and `instrumentation` are then the layer's to set. If a layer in between moves
/// requests to another task, each call is recorded twice.
///
/// # Names
///
/// Clients may send any path, so a path becomes the name of a span or data point only if it belongs
/// to a method that exists. The layer knows the methods of annotated services, the
/// [known methods](Self::known_methods), those in a
/// [`FileDescriptorSet`](Self::file_descriptor_set), and those that have answered with more than a
/// bare status, which an interceptor or the router may send for any path. A status that tonic's
/// generated code makes of a request that it refuses (its encoding, its size, its bytes) tells that
/// the method exists, too. A call of any other method has the
/// span name `grpc`, `rpc.method` = `_OTHER` and, on the span only, `rpc.method_original`.
///
/// If a method is not known when its first request arrives, it becomes known while that is handled.
/// A sampler therefore sees the `rpc.method` of all its calls but the first, whose span name it
/// sees. A layer learns at most 2,000 methods, known methods included; any further one that is not
/// annotated is recorded as `_OTHER`. A known method keeps the name that it was registered with.
///
/// # Layers around layers
///
/// If an RPC meets two layers, the outer one records it, and the stricter one decides whether its
/// caller is trusted, and whether it is recorded. The inner one adds its `span_attributes` and
/// `request_headers`. Its other options have no effect, and a warning names them.
///
/// A layer learns from the first call that a stricter one is inside. From then on, it waits with
/// the first call of each further path. If no inner layer meets that call, a handler that is not
/// annotated runs outside of its span.
///
/// # Local OTLP exports
///
/// A process may serve an OTLP collector and export to it, and recording each export would produce
/// another one. Requests of a Rust OTLP exporter on the same host are therefore not recorded, and
/// telemetry is suppressed while they are handled. The attribute does the same.
#[derive(Clone)]
pub struct ServerLayer {
    pub(super) options: Arc<Options>,
    pub(super) public_endpoint: Option<Predicate>,
    pub(super) inner_paths: Arc<InnerPaths>,
    pub(super) tracing_span: bool,
    pub(super) registry: Arc<MethodRegistry>,
    pub(super) marks: Arc<Marks>,
}

/// The layer of a configuration file, whose options are the defaults.
static CONFIGURED: OnceLock<ServerLayer> = OnceLock::new();

impl Default for ServerLayer {
    fn default() -> Self {
        ServerLayer::new()
    }
}

impl ServerLayer {
    /// Creates a layer that records every call, with the global providers.
    ///
    /// If otel-setup has read a [configuration file], the layer starts with the options in it.
    ///
    /// [configuration file]: https://docs.rs/otel-setup/latest/otel_setup/docs/configuration_file/
    #[must_use]
    pub fn new() -> Self {
        let configured = CONFIGURED.get();
        ServerLayer {
            options: configured.map(|layer| Arc::clone(&layer.options)).unwrap_or_default(),
            public_endpoint: configured.and_then(|layer| layer.public_endpoint.clone()),
            inner_paths: Arc::default(),
            tracing_span: false,
            registry: Arc::new(MethodRegistry::for_server()),
            marks: Arc::default(),
        }
    }

    /// Makes the options of this layer the defaults of all layers that are created later. For
    /// otel-setup.
    #[doc(hidden)]
    pub fn set_default(self) {
        // The first call counts: telemetry is set up once.
        let _ = CONFIGURED.set(self);
    }

    /// Treats callers as untrusted: every call starts a new trace, linked to the caller's span.
    ///
    /// Use this on services exposed to the internet.
    #[must_use]
    pub fn public_endpoint(self) -> Self {
        self.public_endpoint_if(|_| true)
    }

    /// Treats the callers of some requests as untrusted, as
    /// [`public_endpoint`](Self::public_endpoint) does of all.
    ///
    /// If the function [panics](crate::docs::emitted#panics), the caller is untrusted.
    #[must_use]
    pub fn public_endpoint_if(mut self, is_public: impl Fn(&RpcRequest<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.public_endpoint = Some(Arc::new(is_public));
        self
    }

    /// Registers all methods in a serialized `FileDescriptorSet`, as
    /// [`known_methods`](Self::known_methods) does.
    ///
    /// `tonic_reflection` needs the same set: build scripts write it
    /// (`tonic_prost_build::configure().file_descriptor_set_path(…)`), and
    /// `tonic::include_file_descriptor_set!` includes it. A malformed set is ignored, with a
    /// warning.
    #[must_use]
    pub fn file_descriptor_set(self, encoded: &[u8]) -> Self {
        let mut names = Vec::new();
        if for_each_method(encoded, &mut |name| names.push(name)).is_none() {
            tracing::warn!(target: "otel_runtime", "ignoring a malformed `FileDescriptorSet`");
            return self;
        }
        self.known_methods(names)
    }

    /// Records gRPC's own metrics of message sizes (gRFC A66).
    ///
    /// `grpc.server.call.rcvd_total_compressed_message_size` and
    /// `grpc.server.call.sent_total_compressed_message_size` are the bytes of all messages that a
    /// call received and sent, compressed if they are. Their attributes are `grpc.method` (`other`
    /// if the method is not known) and `grpc.status`.
    ///
    /// Received messages are counted only in a `tonic::body::Body`, which tonic's own server passes
    /// to its layers.
    #[must_use]
    pub fn message_sizes(self) -> Self {
        self.with_options(|options| options.call_mut().message_sizes = true)
    }

    /// Opens a `tracing` span around each recorded call, for the lines of your own subscriber.
    ///
    /// The span is `rpc`, of level INFO and target `otel_runtime::rpc`. It has the field
    /// `rpc.method`, and `rpc.status_code` at the end. It is entered while the handler and the
    /// response stream are polled, so that lines of `tracing_subscriber::fmt` have it:
    ///
    /// ```text
    /// INFO rpc{rpc.method="helloworld.Greeter/SayHello"}: greeter: greeting name="Ada"
    /// ```
    ///
    /// A caller cannot invent a name, so the first call of a method that is not known yet is `rpc`
    /// without a field, until an annotated handler names it. Without the attribute, all lines of
    /// that call lack it: list such methods as [`known_methods`](Self::known_methods).
    ///
    /// # Example
    ///
    /// ```
    /// use otel_runtime::ServerLayer;
    /// use tonic::transport::Server;
    ///
    /// tracing_subscriber::fmt().init();
    /// let _server = Server::builder().layer(ServerLayer::new().tracing_span());
    /// ```
    ///
    /// The span is never exported: an RPC has one span, OpenTelemetry's. If a layer of the
    /// subscriber makes OpenTelemetry spans of `tracing` spans, none is opened, with a warning. To
    /// have it nevertheless, add a filter to that layer:
    ///
    /// ```
    /// use opentelemetry::trace::noop::NoopTracer;
    /// use tracing_subscriber::filter::filter_fn;
    /// use tracing_subscriber::prelude::*;
    ///
    /// let exported = tracing_opentelemetry::layer().with_tracer(NoopTracer::new());
    /// let exported = exported.with_filter(filter_fn(|metadata| metadata.target() != "otel_runtime::rpc"));
    /// tracing_subscriber::registry().with(exported).with(tracing_subscriber::fmt::layer()).init();
    /// ```
    ///
    /// Add it as well to a layer with `with_context_activation(false)`, which is not recognized
    /// inside of another `tracing` span. otel-setup's `spans_layer` has it, and its lines have
    /// `rpc.method` without this option. `examples/src/bin/own_subscriber.rs` is an example.
    #[must_use]
    pub fn tracing_span(mut self) -> Self {
        self.tracing_span = true;
        self
    }
}

options! { ServerLayer }
call_options! { ServerLayer, crate::grpc::side::Side::Server }

impl fmt::Debug for ServerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLayer").finish_non_exhaustive()
    }
}
