//! The layer around a channel: every RPC that goes out.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use http::{Request, Response};
use http_body::Body;
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::Span;
use opentelemetry::{Context, ContextGuard, KeyValue};
use pin_project_lite::pin_project;
use tonic::{GrpcMethod, Status};
use tower_layer::Layer;
use tower_service::Service;

use super::body::ClientBody;
use super::target::Target;
use crate::call::{Attributes, Beginning, Call, Family, Running, Unknown};
use crate::capture::{Captured, Names};
use crate::headers::Found;
use crate::method::Method;
use crate::methods::Methods;
use crate::options::{Options, options};
use crate::panic::Panic;
use crate::request::RpcRequest;
use crate::server::running;
use crate::sizes::{Direction, Sizes};
use crate::status::Outcome;
use crate::{response, wire};

/// Records every RPC of a client, and carries its trace on to the server.
///
/// It stands around a `tonic::transport::Channel`, a balanced one, or any other service that a generated client takes, and gives each RPC a CLIENT span below the current one, which it writes into
/// the request's metadata with the propagator, in place of what a caller has left there. What it records, and under which names, is in the [crate's documentation](crate#what-every-rpc-emits).
/// The RPC ends with the trailers, or when the response or its stream is dropped.
///
/// # Example
///
/// In one line, from an `Endpoint`, there is `TracedChannel`. With options, around a channel of one's own:
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
/// A layer outside of this one (before it in a `ServiceBuilder`) makes several RPCs out of one, each with a span and a duration of its own; the server sees each below its own span.
/// A retry inside (behind it) stays one RPC, whose span covers all attempts, as the conventions have it for a logical call.
/// A timeout outside drops the RPC, which is then `CANCELLED`, or `DEADLINE_EXCEEDED` where its `grpc-timeout` (`Request::set_timeout`) has passed. One inside ends it with an error, and
/// `error.type` tells: `timed_out`.
///
/// # Errors
///
/// The service's error becomes the `tonic::Status` that a generated client would make of it anyway, with the error as its source. An RPC that gets no response, or half of one, has that status code, and the
/// `error.type` of what is behind it: `connection_refused`, `connection_reset`, `connection_aborted`, `not_connected`, `address_not_available`, `host_unreachable`, `network_unreachable`,
/// `network_down`, `broken_pipe`, `timed_out`, `unexpected_eof`, `not_found` (no such Unix socket), `permission_denied`, `invalid_data` (TLS), `connect_error` (any other, of a connection that cannot be made).
/// Where none of them is known it is the code. When tonic's own timer for the deadline is up, tonic says `CANCELLED` to the caller; span and metrics say `DEADLINE_EXCEEDED`.
///
/// A reply that the generated client cannot decode is not known here: it drops the response, which is `CANCELLED`.
///
/// # Names
///
/// The method's name is that in the `GrpcMethod` extension, which generated clients set. A request without it is one to a path that somebody else has chosen, for a proxy perhaps:
/// its span is named `grpc`, with `rpc.method` = `_OTHER` and, on the span only, `rpc.method_original`, unless the layer is [told](Self::methods) of that method, or a server has answered it with
/// more than a bare status.
///
/// # Filters
///
/// An RPC that a [filter](Self::filter) leaves out carries the current trace on all the same.
///
/// # Telemetry's own calls
///
/// Where telemetry is suppressed (`opentelemetry::Context::is_telemetry_suppressed`), as it is while an exporter exports, nothing is recorded, and no metadata is written.
#[derive(Clone, Debug)]
pub struct ClientLayer {
    options: Arc<Options>,
    methods: Arc<Methods>,
}

impl ClientLayer {
    /// A layer for a channel to this target, with the global providers.
    ///
    /// The target is what the channel is told to connect to, never what that resolves to. It becomes `server.address` and `server.port`: `http://greeter.example:50051`, `greeter.example:50051`,
    /// `dns:///greeter.example:50051`, `[2001:db8::1]:50051`, `unix:///run/greeter.sock`, and whatever else [gRPC names](https://github.com/grpc/grpc/blob/master/doc/naming.md).
    /// One that cannot be read so is the address as it is. For a balanced channel it is the name of the servers as a whole.
    pub fn new(target: impl AsRef<str>) -> Self {
        ClientLayer {
            options: Arc::default(),
            methods: Arc::new(Methods::called(&Target::parse(target.as_ref()).attributes())),
        }
    }
}

options! { ClientLayer }

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService {
            inner,
            layer: Arc::new(self.clone()),
            captured: self.options.captured.kept(),
        }
    }
}

/// What [`ClientLayer`] makes of a channel.
#[derive(Clone, Debug)]
pub struct ClientService<S> {
    inner: S,
    /// In one piece: clients are cloned often.
    layer: Arc<ClientLayer>,
    captured: &'static Captured,
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
        let mut call = self.layer.begin(&mut request, self.captured);
        let future = run(&mut call, || self.inner.call(request));
        ClientFuture {
            future: Some(future),
            call,
        }
    }
}

impl ClientLayer {
    /// Begins the RPC of a request, and writes its context into the metadata. `None` for one that is not recorded.
    fn begin<B: 'static>(&self, request: &mut Request<B>, captured: &'static Captured) -> Option<Running> {
        let context = Context::current();
        if context.is_telemetry_suppressed() {
            return None;
        }
        let options = &*self.options;
        let instrumentation = options.instrumentation();
        let seen = RpcRequest::of(request);
        if !options.record(&seen) {
            // The trace goes on all the same.
            instrumentation.inject(&context, request.headers_mut());
            return None;
        }
        let has_spans = instrumentation.makes_spans();
        let (method, unknown) = self.method_of(&seen);
        let sizes = Sizes::if_wanted(&instrumentation, unknown.is_none().then_some(method), false);
        let beginning = Beginning {
            method,
            unknown,
            instrumentation,
            timeout: Found::of(request.headers()).timeout(),
            layer: Some(captured),
            handler: None,
            sizes: sizes.clone(),
        };
        let family = Family {
            context: has_spans.then_some(context),
            parent: None,
            link: None,
        };
        let attributes = OfTarget {
            target: self.methods.target(),
            request: &seen,
            headers: &captured.request_headers,
        };
        let mut call = Running::new(beginning);
        call.start(family, &attributes);
        options.annotate(&call, &seen);
        let instrumentation = call.instrumentation();
        match call.context() {
            Some(context) => instrumentation.inject(context, request.headers_mut()),
            None => Context::map_current(|context| instrumentation.inject(context, request.headers_mut())),
        }
        if let Some(sizes) = sizes {
            sizes.count_request(request.body_mut(), Direction::Sent);
        }
        Some(call)
    }

    fn method_of(&self, request: &RpcRequest<'_>) -> (&'static Method, Option<Unknown>) {
        let path = request.path();
        let known = self.methods.get(path).or_else(|| {
            let method = request.extensions().get::<GrpcMethod<'_>>()?;
            self.methods
                .learn_as(path, &format!("{}/{}", method.service(), method.method()))
        });
        match known {
            Some(method) => (method, None),
            None => (
                self.methods.other(),
                Some(Unknown {
                    path: Box::from(path),
                    methods: Arc::clone(&self.methods),
                }),
            ),
        }
    }
}

/// What a request and the channel's target say.
struct OfTarget<'a> {
    target: &'a [KeyValue],
    request: &'a RpcRequest<'a>,
    /// Those that are listed.
    headers: &'a Names,
}

impl Attributes for OfTarget<'_> {
    fn sampled_by(&self, attributes: &mut Vec<KeyValue>) {
        attributes.extend_from_slice(self.target);
    }

    fn recorded(&self, span: &mut BoxedSpan) {
        for attribute in self.headers.attributes(self.request.headers()) {
            span.set_attribute(attribute);
        }
    }
}

/// Runs the channel's code in the RPC's context. It is no part of an RPC that this thread serves: what it calls, within the process perhaps, is another. A panic ends the RPC and goes on.
#[inline]
pub(super) fn run<T>(call: &mut Option<Running>, run: impl FnOnce() -> T) -> T {
    let Some(call) = call else { return run() };
    let current = call.context().map(|context| context.clone().attach());
    match running::outside(run) {
        Ok(result) => result,
        Err(panic) => panicked(call, panic, current),
    }
}

/// Ends an RPC in which the channel's code has panicked. The panic goes on.
#[cold]
fn panicked(call: &mut Call, panic: Panic, current: Option<ContextGuard>) -> ! {
    drop(current);
    call.end(Outcome::panicked(panic.message()));
    panic.resume()
}

pin_project! {
    /// The future of a response, with its RPC.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ClientFuture<F> {
        // Empty once it has nothing left to run.
        #[pin]
        future: Option<F>,
        call: Option<Running>,
    }

    impl<F> PinnedDrop for ClientFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                run(this.call, || this.future.set(None));
            }
        }
    }
}

impl<F, R, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Response<ClientBody<R>>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = run(this.call, || {
            // Nobody polls a future again that has returned; if somebody does, it stays pending.
            let future = this.future.as_mut().as_pin_mut();
            let polled = future.map_or(Poll::Pending, |future| future.poll(cx));
            if polled.is_ready() {
                this.future.set(None);
            }
            polled
        });
        let result = ready!(polled);
        let mut call = this.call.take();
        Poll::Ready(match result {
            Ok(response) => Ok(ClientBody::begin(response, call)),
            Err(error) => {
                let status = Status::from_error(error.into());
                if let Some(call) = &mut call {
                    response::end(call, wire::not_answered(&status).outcome());
                }
                Err(status)
            }
        })
    }
}
