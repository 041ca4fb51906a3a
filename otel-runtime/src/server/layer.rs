//! The layer around a server's services: every RPC that comes in on the wire, whether it reaches a handler or not.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use opentelemetry::KeyValue;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::arrival::{Arrival, Sockets, may_export};
use super::begin;
use super::body::ServerBody;
use super::running::{self, Running};
use crate::call::{Beginning, Unknown};
use crate::capture::Captured;
use crate::headers::Found;
use crate::methods::Methods;
use crate::options::{Options, options};
use crate::panic;
use crate::request::RpcRequest;
use crate::sizes::{Direction, Sizes};
use crate::wire;

type Predicate = Arc<dyn Fn(&RpcRequest<'_>) -> bool + Send + Sync>;

/// Records every gRPC request that a server gets, whoever answers it.
///
/// A handler never learns of an RPC to an unknown method, of one that an interceptor rejects, of a message that cannot be decoded or is too large, nor of a reply that cannot be encoded.
/// This layer does: it stands between the connection and the services, and takes an RPC's status from what goes back on the wire, at the end of the response body. What it records, and
/// under which names, is in the [crate's documentation](crate#what-every-rpc-emits).
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
/// It works in any tower stack that serves tonic. What is not gRPC (a `content-type` that is not `application/grpc`) passes through untouched. For grpc-web, let `tonic_web::GrpcWebLayer` stand
/// outside (before it in the order of `layer` calls), so that what comes to this layer is gRPC.
///
/// # With annotated services
///
/// Where a service has [`#[traced_service]`](crate::traced_service) as well, there is one span and one duration for each RPC: the layer begins and ends it, and the attribute adds what only it knows,
/// its fields, the headers that it lists, its names, and how a response stream that is dropped had ended. What the attribute says of `public_endpoint` and `instrumentation`
/// is then for the layer to say. A layer in between that moves requests to another task makes them two.
///
/// # Names
///
/// Anybody can send a request with any path, so a path is the name of a span or of a metric point only if it is that of a method that exists. The layer knows those of
/// annotated services; those that it is [told](Self::methods); and those that have answered with anything but a bare status, which an interceptor or the router may give to any path at all.
/// An RPC of any other has the span name `grpc`, `rpc.method` = `_OTHER` and, on the span only, `rpc.method_original`.
///
/// A method that is not known when its first request comes becomes known as that is handled. So a sampler sees the `rpc.method` of all its RPCs but the first (whose span's name it sees).
/// A layer learns at most 2,000 methods, those that it is told of included; whatever else it does not find annotated is `_OTHER` like one that nobody knows. Of one that it is told of, it keeps the name
/// that it is told.
///
/// # Telemetry about telemetry
///
/// A process may serve an OTLP collector and export to it. What a Rust OTLP exporter on the same host sends there is not recorded, and telemetry is suppressed while it is handled: each export
/// would make one more. The attribute does the same.
#[derive(Clone)]
pub struct ServerLayer {
    options: Arc<Options>,
    public_endpoint: Option<Predicate>,
    message_sizes: bool,
    methods: Arc<Methods>,
}

impl Default for ServerLayer {
    fn default() -> Self {
        ServerLayer::new()
    }
}

impl ServerLayer {
    /// A layer that records every RPC, with the global providers.
    #[must_use]
    pub fn new() -> Self {
        ServerLayer {
            options: Arc::default(),
            public_endpoint: None,
            message_sizes: false,
            methods: Arc::new(Methods::served()),
        }
    }

    /// Callers are strangers: each RPC starts a trace of its own, with one link to the caller's span, if there is one.
    #[must_use]
    pub fn public_endpoint(self) -> Self {
        self.public_endpoint_if(|_| true)
    }

    /// The callers of those requests are strangers for which the function says `true`. One for which it
    /// [panics](crate#a-panic-in-what-you-give-it) comes from a stranger.
    #[must_use]
    pub fn public_endpoint_if(mut self, is_public: impl Fn(&RpcRequest<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.public_endpoint = Some(Arc::new(is_public));
        self
    }

    /// Records gRPC's own metrics of messages, `grpc.server.call.rcvd_total_compressed_message_size` and `grpc.server.call.sent_total_compressed_message_size`: how many bytes of messages an
    /// RPC received and sent in all, as they stand on the wire, compressed where they are. They have the attributes `grpc.method` (`other`, where the method is not known) and `grpc.status`.
    ///
    /// What is received can only be counted in a `tonic::body::Body`, which is what tonic's own server gives to its layers.
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
            captured: self.options.captured.kept(),
        }
    }
}

/// What [`ServerLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct ServerService<S> {
    inner: S,
    /// In one piece: tonic's server clones it for each request.
    layer: Arc<ServerLayer>,
    captured: &'static Captured,
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
        let mut running = self.layer.begin(&mut request, self.captured);
        let future = running::run_alone(&mut running, || self.inner.call(request));
        ServerFuture {
            future: Some(future),
            running,
        }
    }
}

impl ServerLayer {
    /// What is to run for a request. `None` where that is not gRPC.
    fn begin<B: 'static>(&self, request: &mut Request<B>, captured: &'static Captured) -> Option<Running> {
        if !wire::is_grpc(request.headers()) || running::is_running(request.uri().path()) {
            // Another layer, further out, has begun it.
            return None;
        }
        let options = &*self.options;
        let instrumentation = options.instrumentation();
        let sockets = if instrumentation.makes_spans() || may_export(request.uri().path()) {
            Sockets::on_the_wire(request)
        } else {
            Sockets::default()
        };
        let found = Found::of(request.headers());
        let seen = RpcRequest::of(request);
        let path = seen.path();
        let sockets = || sockets;
        let arrival = Arrival::on_the_wire(request, &sockets);
        if arrival.is_own_export(path) {
            return Some(Running::own_export(path));
        }
        if !options.record(&seen) {
            let caller = instrumentation.extract(arrival.headers, &found);
            return Some(Running::left_out(
                path,
                caller.unwrap_or_else(opentelemetry::Context::current),
            ));
        }
        let known = self.methods.get(path);
        let unknown = known.is_none().then(|| Unknown {
            path: Box::from(path),
            methods: Arc::clone(&self.methods),
        });
        let is_public = self
            .public_endpoint
            .as_ref()
            .is_some_and(|is_public| panic::PUBLIC_ENDPOINT.answer(|| is_public(&seen)).unwrap_or(true));
        let sizes = Sizes::if_wanted(&instrumentation, known, self.message_sizes);
        let beginning = Beginning {
            method: known.unwrap_or_else(|| self.methods.other()),
            unknown,
            instrumentation,
            timeout: found.timeout(),
            layer: Some(captured),
            handler: None,
            sizes: sizes.clone(),
        };
        let call = begin::call(beginning, is_public, &arrival, &found, &captured.request_headers);
        options.annotate(&call, &seen);
        if let Some(sizes) = sizes {
            sizes.count_request(request.body_mut(), Direction::Received);
        }
        Some(Running::Call(call))
    }
}

pin_project! {
    /// The future of a response, with its RPC.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ServerFuture<F> {
        // Empty once it has nothing left to run.
        #[pin]
        future: Option<F>,
        running: Option<Running>,
    }

    impl<F> PinnedDrop for ServerFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                running::run(this.running, &mut || this.future.set(None));
            }
        }
    }
}

impl<F, R, E> Future for ServerFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    E: 'static,
{
    type Output = Result<Response<ServerBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = running::run_alone(this.running, || {
            // Nobody polls a future again that has returned; if somebody does, it stays pending.
            let polled = this
                .future
                .as_mut()
                .as_pin_mut()
                .map_or(Poll::Pending, |future| future.poll(cx));
            if polled.is_ready() {
                this.future.set(None);
            }
            polled
        });
        let result = ready!(polled);
        let mut running = this.running.take();
        Poll::Ready(match result {
            Ok(response) => Ok(ServerBody::begin(response, running)),
            Err(error) => {
                if let Some(Running::Call(call)) = &mut running {
                    call.end(wire::failed(&error).outcome());
                }
                Err(error)
            }
        })
    }
}
