//! The layer around a server's services: it records every call, whether it reaches a handler or
//! not.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use opentelemetry::KeyValue;
use tower_layer::Layer;
use tower_service::Service;

use super::body::ServerBody;
use super::future::ServerFuture;
use super::request::{ConnectionAddrs, IncomingRequest, is_otlp_path};
use super::start::start_call;
use crate::attributes::captured_headers::CapturedHeaders;
use crate::grpc::content_type::is_grpc;
use crate::grpc::request_headers::KnownHeaders;
use crate::grpc::side::Direction;
use crate::guard;
use crate::instrumentation::InstrumentationRef;
use crate::layer::options::{Options, options};
use crate::layer::request::RpcRequest;
use crate::layer::response_future::ResponseFuture;
use crate::method::registry::MethodRegistry;
use crate::rpc::call::{CallParams, UnresolvedMethod};
use crate::rpc::current::{self, ActiveCall};
use crate::rpc::message_sizes::MessageSizes;
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
/// The layer works in any tower stack that serves tonic. Requests that are not gRPC (their
/// `content-type` is not `application/grpc`) pass through untouched. For grpc-web, put
/// `tonic_web::GrpcWebLayer` outside of it (before it in the order of `layer` calls), so that this
/// layer sees gRPC.
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
/// [known methods](Self::known_methods), and those that have answered with more than a bare status,
/// which an interceptor or the router may send for any path. A call of any other method has the
/// span name `grpc`, `rpc.method` = `_OTHER` and, on the span only, `rpc.method_original`.
///
/// If a method is not known when its first request arrives, it becomes known while that is handled.
/// A sampler therefore sees the `rpc.method` of all its calls but the first, whose span name it
/// sees. A layer learns at most 2,000 methods, known methods included; any further one that is not
/// annotated is recorded as `_OTHER`. A known method keeps the name that it was registered with.
///
/// # Local OTLP exports
///
/// A process may serve an OTLP collector and export to it, and recording each export would produce
/// another one. Requests of a Rust OTLP exporter on the same host are therefore not recorded, and
/// telemetry is suppressed while they are handled. The attribute does the same.
#[derive(Clone)]
pub struct ServerLayer {
    options: Arc<Options>,
    public_endpoint: Option<Predicate>,
    message_sizes: bool,
    registry: Arc<MethodRegistry>,
    marks: Arc<Marks>,
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
            message_sizes: configured.is_some_and(|layer| layer.message_sizes),
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
    pub fn message_sizes(mut self) -> Self {
        self.message_sizes = true;
        self
    }
}

options! { ServerLayer }

impl fmt::Debug for ServerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> ServerService<S> {
        ServerService {
            inner,
            layer: Arc::new(self.clone()),
            captured: self.options.captured_headers.interned(),
        }
    }
}

/// The service of a [`ServerLayer`].
#[derive(Clone, Debug)]
pub struct ServerService<S> {
    inner: S,
    /// Behind one pointer: tonic's server clones the service for each request.
    layer: Arc<ServerLayer>,
    captured: &'static CapturedHeaders,
}

impl<S, B, R> Service<Request<B>> for ServerService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error: 'static>,
    B: 'static,
    R: Body,
{
    type Response = Response<ServerBody<R>>;
    type Error = S::Error;
    type Future = ServerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let call = self.layer.start(&mut request, self.captured);
        ServerFuture::new(ResponseFuture::start(call, || self.inner.call(request)))
    }
}

impl ServerLayer {
    /// Starts the call of a request.
    ///
    /// Returns `None` if the request is not gRPC, or if another layer has started its call.
    fn start<B: 'static>(&self, request: &mut Request<B>, captured: &'static CapturedHeaders) -> Option<ActiveCall> {
        if !is_grpc(request.headers()) || current::is_current(request.uri().path()) {
            return None;
        }
        let instrumentation = self.options.instrumentation();
        let addrs = if instrumentation.has_tracer() || is_otlp_path(request.uri().path()) {
            ConnectionAddrs::from_http(request)
        } else {
            ConnectionAddrs::default()
        };
        let addrs = || addrs;
        let incoming = IncomingRequest::from_http(request, &addrs);
        let mut call = self.start_incoming(request.uri().path(), &incoming, instrumentation, captured);
        if let Some(call) = call.recorded() {
            if call.is_unresolved() {
                self.marks.mark(request.extensions_mut());
            }
            if let Some(sizes) = call.message_sizes() {
                sizes.count_request(request.body_mut(), Direction::Received);
            }
        }
        Some(call)
    }

    // Not generic, so that it is compiled once.
    fn start_incoming(
        &self,
        path: &str,
        incoming: &IncomingRequest<'_>,
        instrumentation: InstrumentationRef,
        captured: &'static CapturedHeaders,
    ) -> ActiveCall {
        if incoming.is_local_otlp_export(path) {
            return ActiveCall::local_export(path);
        }
        let request = RpcRequest::new(path, incoming.headers, incoming.extensions);
        if !self.options.should_record(&request) {
            let caller = instrumentation.extract(incoming.headers, &KnownHeaders::scan(incoming.headers));
            return ActiveCall::filtered(path, caller.unwrap_or_else(opentelemetry::Context::current));
        }
        let method = self.registry.get(path);
        let is_public = self
            .public_endpoint
            .as_ref()
            .is_some_and(|is_public| guard::PUBLIC_ENDPOINT.run(|| is_public(&request)).unwrap_or(true));
        let params = CallParams {
            method: method.unwrap_or_else(|| self.registry.fallback()),
            unresolved: method.is_none().then(|| UnresolvedMethod {
                path: Box::from(path),
                registry: Arc::clone(&self.registry),
            }),
            message_sizes: MessageSizes::new_if_enabled(&instrumentation, method, self.message_sizes),
            instrumentation,
            layer_headers: Some(captured),
            handler_headers: None,
        };
        let call = start_call(params, is_public, incoming, &captured.request_headers);
        self.options.add_span_attributes(&call, &request);
        ActiveCall::Recorded(call)
    }
}
