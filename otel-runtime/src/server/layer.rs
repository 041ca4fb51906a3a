//! The layer around a server's services: it records every call, whether it reaches a handler or
//! not.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{Request, Response, Version};
use http_body::Body;
use opentelemetry::KeyValue;
use tower_layer::Layer;
use tower_service::Service;

use super::body::ServerBody;
use super::future::ServerFuture;
use super::inner::{InnerLayers, add_public_layer};
use super::request::{ConnectionAddrs, IncomingRequest, is_otlp_path};
use super::start::start_call;
use crate::attributes::captured_headers::CapturedHeaders;
use crate::grpc::content_type::is_grpc;
use crate::grpc::path::service_and_method;
use crate::grpc::request_headers::KnownHeaders;
use crate::grpc::side::Direction;
use crate::guard;
use crate::instrumentation::InstrumentationRef;
use crate::layer::options::{Options, options};
use crate::layer::request::RpcRequest;
use crate::layer::response_future::ResponseFuture;
use crate::method::descriptor_set::for_each_method;
use crate::method::registry::MethodRegistry;
use crate::rpc::call::{CallParams, UnresolvedMethod};
use crate::rpc::current::{self, ActiveCall, Found};
use crate::rpc::message_sizes::MessageSizes;
use crate::rpc::origin::{RequestOrigin, client_mark, set_client_mark};
use crate::rpc::request_body;

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
/// caller is trusted. The inner one adds its `span_attributes` and `request_headers`. Its other
/// options have no effect, with a warning. If any layer of a program has `public_endpoint`, a layer
/// without it cannot know before the first call of each path whether there is a stricter one
/// inside: a handler that is not annotated runs outside of the span during that call.
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
    /// Whether all callers are untrusted.
    is_always_public: bool,
    inner: Arc<InnerLayers>,
    message_sizes: bool,
    registry: Arc<MethodRegistry>,
}

impl Default for ServerLayer {
    fn default() -> Self {
        ServerLayer::new()
    }
}

impl ServerLayer {
    /// Creates a layer that records every call, with the global providers.
    #[must_use]
    pub fn new() -> Self {
        ServerLayer {
            options: Arc::default(),
            public_endpoint: None,
            is_always_public: false,
            inner: Arc::default(),
            message_sizes: false,
            registry: Arc::new(MethodRegistry::for_server()),
        }
    }

    /// Treats callers as untrusted: every call starts a new trace, linked to the caller's span.
    ///
    /// Use this on services exposed to the internet.
    #[must_use]
    pub fn public_endpoint(self) -> Self {
        let mut layer = self.public_endpoint_if(|_| true);
        layer.is_always_public = true;
        layer
    }

    /// Treats the callers of some requests as untrusted, as
    /// [`public_endpoint`](Self::public_endpoint) does of all.
    ///
    /// If the function [panics](crate::docs::emitted#panics), the caller is untrusted.
    #[must_use]
    pub fn public_endpoint_if(mut self, is_public: impl Fn(&RpcRequest<'_>) -> bool + Send + Sync + 'static) -> Self {
        if self.public_endpoint.replace(Arc::new(is_public)).is_none() {
            add_public_layer();
        }
        self.is_always_public = false;
        self
    }

    /// Registers all methods in a serialized `FileDescriptorSet`, as
    /// [`known_methods`](Self::known_methods) does.
    ///
    /// It is what `tonic_reflection` needs as well: build scripts write it
    /// (`tonic_prost_build::configure().file_descriptor_set_path(…)`), and
    /// `tonic::include_file_descriptor_set!` includes it. A malformed set is ignored, with a
    /// warning.
    #[must_use]
    pub fn file_descriptor_set(self, encoded: &[u8]) -> Self {
        let mut names = Vec::new();
        if for_each_method(encoded, |name| names.push(name)).is_none() {
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

/// Returns `true` if the body of a request may end early, as it comes over a socket.
///
/// The body of one that a program makes of a message is in memory, and needs no allocation to watch
/// it: its length is known, no header has it, and tonic-web has not removed that header (it leaves
/// an `accept-encoding`).
#[inline]
fn is_from_socket<B: 'static>(request: &Request<B>) -> bool {
    let body: &dyn Any = request.body();
    body.downcast_ref::<tonic::body::Body>()
        .is_some_and(|body| body.size_hint().exact().is_none())
        || request.version() != Version::HTTP_2
        || request
            .headers()
            .keys()
            .any(|name| *name == CONTENT_LENGTH || *name == ACCEPT_ENCODING)
}

/// Path and identity of a request, and what has happened to it if its call starts later.
struct Arrival<'a> {
    path: &'a str,
    origin: RequestOrigin,
    /// The time of arrival, and what has been found out since.
    deferred: Option<(Instant, Found)>,
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
    /// Returns `None` if another layer has started its call, or if it cannot be gRPC.
    fn start<B: 'static>(
        self: &Arc<Self>,
        request: &mut Request<B>,
        captured: &'static CapturedHeaders,
    ) -> Option<ActiveCall> {
        if current::is_of_outer_layer(client_mark(request.extensions())) {
            self.join(request, captured);
            return None;
        }
        let client_mark = set_client_mark(request.extensions_mut());
        let is_grpc = is_grpc(request.headers());
        if !is_grpc || self.may_be_public_inside(request.uri().path()) {
            return self.defer(request, is_grpc, client_mark, captured);
        }
        let mut call = self.start_arrived(request, client_mark, captured, None);
        if let Some(call) = call.recorded()
            && (call.message_sizes().is_some() || is_from_socket(request))
        {
            let counter = call.message_sizes().map(|sizes| sizes.counter(Direction::Received));
            request_body::wrap(request.body_mut(), counter, || Some(call.watch_request()));
        }
        Some(call)
    }

    /// Returns `true` if an inner layer may distrust a caller that this layer trusts.
    #[inline]
    fn may_be_public_inside(&self, path: &str) -> bool {
        !self.is_always_public && self.inner.may_meet(path, self.public_endpoint.is_some())
    }

    /// Defers the call of a request until a gRPC handler serves it, or an inner layer meets it.
    ///
    /// tonic ignores the `content-type` of a request. So callers choose it, and must not escape
    /// what the layer says of them.
    #[cold]
    fn defer<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        is_grpc: bool,
        client_mark: usize,
        captured: &'static CapturedHeaders,
    ) -> Option<ActiveCall> {
        if !is_grpc {
            service_and_method(request.uri().path())?;
        }
        let (layer, arrived) = (Arc::clone(self), Instant::now());
        let mut head = Request::new(());
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = request.headers().clone();
        *head.extensions_mut() = request.extensions().clone();
        let start = move |found| layer.start_arrived(&mut head, client_mark, captured, Some((arrived, found)));
        Some(ActiveCall::deferred(
            RequestOrigin::of_layer(client_mark),
            is_grpc,
            start,
        ))
    }

    /// Joins the call of an outer layer.
    ///
    /// The stricter of the two decides whether the caller is trusted. Attributes and request
    /// headers are added to those of the outer layer.
    #[cold]
    fn join<B>(&self, request: &Request<B>, captured: &'static CapturedHeaders) {
        let rpc_request = RpcRequest::from_http(request);
        let is_filtered = !self.options.should_record(&rpc_request);
        if current::is_deferred() {
            current::start_deferred(Found {
                has_service: true,
                has_inner_layer: true,
                is_public: self.is_public(&rpc_request),
                is_filtered,
            });
        } else if is_filtered {
            self.warn_of_outer_layer("filter");
        }
        for (option, is_set) in [
            ("response_headers", !captured.response_headers.is_empty()),
            ("response_trailers", !captured.response_trailers.is_empty()),
            ("instrumentation", self.options.instrumentation.is_some()),
            ("message_sizes", self.message_sizes),
        ] {
            if is_set {
                self.warn_of_outer_layer(option);
            }
        }
        current::take_recorded(|call| {
            self.options.add_span_attributes(call, &rpc_request);
            let outer = call.layer_headers().map(|captured| &captured.request_headers);
            call.set_attributes(|| {
                let attributes = captured.request_headers.attributes(request.headers());
                let is_new = |attribute: &KeyValue| !outer.is_some_and(|outer| outer.has(&attribute.key));
                attributes.filter(is_new).collect::<Vec<_>>()
            });
        });
    }

    #[allow(clippy::unused_self)]
    fn warn_of_outer_layer(&self, option: &str) {
        static WARNED: AtomicBool = AtomicBool::new(false);

        if !WARNED.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "otel_runtime",
                "`{option}` has no effect on a `ServerLayer` inside another one: set it on the outer layer (logged once)"
            );
        }
    }

    fn is_public(&self, request: &RpcRequest<'_>) -> bool {
        self.public_endpoint
            .as_ref()
            .is_some_and(|is_public| guard::PUBLIC_ENDPOINT.run(|| is_public(request)).unwrap_or(true))
    }

    fn start_arrived<B>(
        &self,
        request: &mut Request<B>,
        client_mark: usize,
        captured: &'static CapturedHeaders,
        deferred: Option<(Instant, Found)>,
    ) -> ActiveCall {
        let instrumentation = self.options.instrumentation();
        let addrs = if instrumentation.has_tracer() || is_otlp_path(request.uri().path()) {
            ConnectionAddrs::from_http(request)
        } else {
            ConnectionAddrs::default()
        };
        let addrs = || addrs;
        let incoming = IncomingRequest::from_http(request, &addrs);
        let arrival = Arrival {
            path: request.uri().path(),
            origin: RequestOrigin::of_layer(client_mark),
            deferred,
        };
        self.start_incoming(&arrival, &incoming, instrumentation, captured)
    }

    // Not generic, so that it is compiled once.
    fn start_incoming(
        &self,
        &Arrival { path, origin, deferred }: &Arrival<'_>,
        incoming: &IncomingRequest<'_>,
        instrumentation: InstrumentationRef,
        captured: &'static CapturedHeaders,
    ) -> ActiveCall {
        if incoming.is_local_otlp_export(path) {
            return ActiveCall::local_export(origin);
        }
        let request = RpcRequest::new(path, incoming.headers, incoming.extensions);
        let found = deferred.map_or_else(Found::default, |(_, found)| found);
        if found.has_service {
            self.inner.learn(path, found.has_inner_layer);
        }
        if found.is_filtered || !self.options.should_record(&request) {
            let caller = instrumentation.extract(incoming.headers, &KnownHeaders::scan(incoming.headers));
            return ActiveCall::filtered(origin, caller.unwrap_or_else(opentelemetry::Context::current));
        }
        let method = self.registry.get(path);
        let is_public = found.is_public || self.is_public(&request);
        let params = CallParams {
            method: method.unwrap_or_else(|| self.registry.fallback()),
            unresolved: method.is_none().then(|| UnresolvedMethod {
                path: Box::from(path),
                registry: Arc::clone(&self.registry),
                expects_answer: false,
            }),
            message_sizes: MessageSizes::new_if_enabled(&instrumentation, method, self.message_sizes),
            instrumentation,
            layer_headers: Some(captured),
            handler_headers: None,
            origin,
            arrived: deferred.map(|(arrived, _)| arrived),
        };
        let call = start_call(params, is_public, incoming, &captured.request_headers);
        self.options.add_span_attributes(&call, &request);
        ActiveCall::Recorded(call)
    }
}
