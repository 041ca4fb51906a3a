//! The layer around a channel: it records every outgoing call.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use http::{Request, Response};
use http_body::Body;
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Span, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tonic::{GrpcMethod, Status};
use tower_layer::Layer;
use tower_service::Service;

use super::body::ClientBody;
use super::future::ClientFuture;
use super::request_body;
use super::target::Target;
use crate::attributes::captured_headers::{CapturedHeaders, HeaderList};
use crate::grpc::request_headers::KnownHeaders;
use crate::grpc::side::Direction;
use crate::layer::options::{Options, options};
use crate::layer::request::RpcRequest;
use crate::layer::response_future::ResponseFuture;
use crate::method::Method;
use crate::method::registry::MethodRegistry;
use crate::rpc::call::{CallParams, SpanParent, UnresolvedMethod};
use crate::rpc::current::ActiveCall;
use crate::rpc::message_sizes::MessageSizes;
use crate::rpc::pool::PooledCall;
use crate::span::SpanAttributes;

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
/// ends it with an error, and `error.type` = `timed_out`.
///
/// # Errors
///
/// An error of the service becomes the `tonic::Status` that a generated client would make of it
/// anyway, with the error as its source. A call that gets no response, or only a part of one, ends
/// with that status code, and with the `error.type` of its cause: `connection_refused`,
/// `connection_reset`, `connection_aborted`, `not_connected`, `address_not_available`,
/// `host_unreachable`, `network_unreachable`, `network_down`, `broken_pipe`, `timed_out`,
/// `unexpected_eof`, `not_found` (no such Unix domain socket), `permission_denied`, `invalid_data`
/// (TLS), `connect_error` (a connection that failed for any other reason). Without a known cause,
/// `error.type` is the code. If tonic's own deadline timer fires, the caller gets `CANCELLED` from
/// tonic; span and metrics have `DEADLINE_EXCEEDED`.
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
/// A call that a [filter](Self::filter) rejects still propagates the current trace.
///
/// # Suppressed telemetry
///
/// While telemetry is suppressed (`opentelemetry::Context::is_telemetry_suppressed`), as exporters
/// do for their own calls, nothing is recorded, and no metadata is injected.
#[derive(Clone, Debug)]
pub struct ClientLayer {
    options: Arc<Options>,
    registry: Arc<MethodRegistry>,
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
}

options! { ClientLayer }

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService {
            inner,
            layer: Arc::new(self.clone()),
            captured: self.options.captured_headers.interned(),
        }
    }
}

/// The service of a [`ClientLayer`].
#[derive(Clone, Debug)]
pub struct ClientService<S> {
    inner: S,
    /// Behind one pointer: clients are cloned often.
    layer: Arc<ClientLayer>,
    captured: &'static CapturedHeaders,
}

impl<S, B, R> Service<Request<B>> for ClientService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error: Into<Box<dyn Error + Send + Sync>>>,
    B: 'static,
    R: Body,
{
    type Response = Response<ClientBody<R>>;
    type Error = Status;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), Status>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let call = self.layer.start(&mut request, self.captured);
        let has_context = matches!(&call, Some(ActiveCall::Recorded(call)) if call.context().is_some());
        ClientFuture::new(ResponseFuture::start(call, || {
            if has_context {
                request_body::poll_in_current_context(request.body_mut());
            }
            self.inner.call(request)
        }))
    }
}

impl ClientLayer {
    /// Starts the call of a request, and injects its context into the metadata.
    ///
    /// Returns `None` if the call is not recorded.
    fn start<B: 'static>(&self, request: &mut Request<B>, captured: &'static CapturedHeaders) -> Option<ActiveCall> {
        let context = Context::current();
        if context.is_telemetry_suppressed() {
            return None;
        }
        let outgoing = RpcRequest::from_http(request);
        if !self.options.should_record(&outgoing) {
            self.options.instrumentation().inject(&context, request.headers_mut());
            if context.has_active_span() {
                request_body::poll_in_current_context(request.body_mut());
            }
            return None;
        }
        let call = self.start_outgoing(&outgoing, context, captured);
        let instrumentation = call.instrumentation();
        match call.context() {
            Some(context) => instrumentation.inject(context, request.headers_mut()),
            None => Context::map_current(|context| instrumentation.inject(context, request.headers_mut())),
        }
        if let Some(sizes) = call.message_sizes() {
            sizes.count_request(request.body_mut(), Direction::Sent);
        }
        Some(ActiveCall::Recorded(call))
    }

    // Not generic, so that it is compiled once.
    fn start_outgoing(
        &self,
        request: &RpcRequest<'_>,
        context: Context,
        captured: &'static CapturedHeaders,
    ) -> PooledCall {
        let instrumentation = self.options.instrumentation();
        let method = self.method(request);
        let params = CallParams {
            method: method.unwrap_or_else(|| self.registry.fallback()),
            unresolved: method.is_none().then(|| UnresolvedMethod {
                path: Box::from(request.path()),
                registry: Arc::clone(&self.registry),
            }),
            message_sizes: MessageSizes::new_if_enabled(&instrumentation, method, false),
            instrumentation,
            layer_headers: Some(captured),
            handler_headers: None,
        };
        let mut call = PooledCall::new(params, KnownHeaders::scan(request.headers()).timeout());
        if call.instrumentation().has_tracer() {
            let parent = SpanParent {
                base: Some(context),
                ..SpanParent::default()
            };
            let attributes = ClientAttributes {
                target: self.registry.target(),
                request,
                captured: &captured.request_headers,
            };
            call.start_span(parent, &attributes);
        }
        self.options.add_span_attributes(&call, request);
        call
    }

    /// Returns the method of a request, if it is known.
    fn method(&self, request: &RpcRequest<'_>) -> Option<&'static Method> {
        let path = request.path();
        self.registry.get(path).or_else(|| {
            let method = request.extensions().get::<GrpcMethod<'_>>()?;
            self.registry
                .register_as(path, &format!("{}/{}", method.service(), method.method()))
        })
    }
}

struct ClientAttributes<'a> {
    /// `server.address` and `server.port`.
    target: &'a [KeyValue],
    request: &'a RpcRequest<'a>,
    captured: &'a HeaderList,
}

impl SpanAttributes for ClientAttributes<'_> {
    fn at_start(&self, attributes: &mut Vec<KeyValue>) {
        attributes.extend_from_slice(self.target);
    }

    fn if_recording(&self, span: &mut BoxedSpan) {
        for attribute in self.captured.attributes(self.request.headers()) {
            span.set_attribute(attribute);
        }
    }
}
