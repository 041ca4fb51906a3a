#![doc = include_str!("../README.md")]
// On docs.rs, whose compiler is a nightly one.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attributes;
mod client;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
mod guard;
mod instrumentation;
mod intern;
mod layer;
mod limits;
mod method;
mod metrics;
pub mod propagation;
mod rpc;
mod semconv;
mod server;
mod span;
mod sync;
pub mod task;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

/// Gives every RPC of a [tonic] service a trace and metrics.
///
/// It stands on the impl of a trait that tonic generated, above `#[tonic::async_trait]`; below it, it does the same. What it records, under which names,
/// is in the [crate's documentation](crate#what-every-rpc-emits), and follows the OpenTelemetry semantic conventions for
/// [gRPC](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/) and for [RPC metrics](https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/).
///
/// # Example
///
/// ```
/// use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
/// use otel_runtime::traced_service;
/// use tonic::{Request, Response, Status};
///
/// struct MyGreeter;
///
/// #[traced_service]
/// #[tonic::async_trait]
/// impl Greeter for MyGreeter {
///     async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
///         let HelloRequest { name } = request.into_inner();
///         if name.is_empty() {
///             return Err(Status::invalid_argument("who is there?"));
///         }
///         Ok(Response::new(HelloReply { message: format!("Hello, {name}!") }))
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Status> {
/// let reply = MyGreeter.say_hello(Request::new(HelloRequest { name: "Ada".into() })).await?;
/// assert_eq!(reply.into_inner().message, "Hello, Ada!");
/// # Ok(())
/// # }
/// ```
///
/// # Arguments
///
/// None is needed.
///
/// * `service = "helloworld.Greeter"`, or `service = path::TO_A_CONSTANT`: the service's full name, as it stands in `rpc.method` before the `/`.
///   By default it is that on the wire.
/// * `skip(say_hello, …)`: methods without span and metrics.
/// * `public_endpoint`: callers are strangers. Each RPC starts a trace of its own, with one link to the caller's span, if there is one; so a caller decides neither which trace it is part of nor
///   whether it is sampled. Baggage still reaches the handler. Behind a [`ServerLayer`], which begins the RPC, that is
///   for [the layer](ServerLayer::public_endpoint) to say.
/// * `request_headers("x-tenant", …)`, `response_headers(…)`, `response_trailers(…)`: the headers, and the trailers of a failure, that become attributes of the span: `rpc.request.header.x-tenant`
///   and so on, each a list of strings. Lower case, as in HTTP/2; nothing that is not listed is ever recorded. The values of a header whose name ends in `-bin`, and those that are not UTF-8,
///   are written in base64. Of each header the first 16 values are kept, and of each value the first 1,024 bytes.
/// * `instrumentation = self.instrumentation`: an [`Instrumentation`] to record with, instead of the global providers. Any expression for one; it sees `self`. Behind a [`ServerLayer`] it is
///   [the layer's](ServerLayer::instrumentation) that counts.
/// * `crate = path::to::otel_runtime`: where this crate is, for those who re-export it. By default `::otel_runtime`.
///
/// ```
/// use examples::helloworld::{HelloReply, HelloRequest, greeter_server};
/// use tonic::{Request, Response, Status};
///
/// mod telemetry {
///     pub use otel_runtime;
/// }
///
/// struct MyGreeter {
///     instrumentation: otel_runtime::Instrumentation,
/// }
///
/// #[telemetry::otel_runtime::traced_service(
///     service = greeter_server::SERVICE_NAME,
///     public_endpoint,
///     request_headers("x-tenant", "trace-bin"),
///     response_headers("x-served-by"),
///     response_trailers("x-retry-after"),
///     instrumentation = self.instrumentation,
///     crate = telemetry::otel_runtime
/// )]
/// #[tonic::async_trait]
/// impl greeter_server::Greeter for MyGreeter {
///     async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
///         # let _ = request;
///         // …
///         # Ok(Response::new(HelloReply::default()))
///     }
/// }
///
/// struct Untraced;
///
/// #[otel_runtime::traced_service(skip(say_hello))]
/// #[tonic::async_trait]
/// impl greeter_server::Greeter for Untraced {
///     async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
///         # let _ = request;
///         // …
///         # Ok(Response::new(HelloReply::default()))
///     }
/// }
/// ```
///
/// # On a method
///
/// `#[traced(…)]`, which needs no import, says of one method
///
/// * `skip`: no span and no metrics, as above;
/// * `name = "GetURL"`: the method's name, as it stands in `rpc.method` behind the `/`;
/// * `fields(tenant.id = request.get_ref().tenant.as_str(), …)`: attributes of its spans. The values are any expressions over `self` and the request, and are only evaluated for a span that records.
///   Any value that an OpenTelemetry attribute can hold will do: strings, integers, floats, bools, slices of them, or an `Option`, which is no attribute where it is `None`. An unsigned
///   integer above `i64::MAX` becomes a string. Names are dotted words, or any string. A value that panics is left out, and so are the others of that RPC.
///
/// Inside the handler, and in its response stream, the RPC's span is the active one: [`opentelemetry::trace::get_active_span`] adds attributes and events to it.
///
/// ```
/// use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
/// use opentelemetry::{KeyValue, trace::get_active_span};
/// use otel_runtime::traced_service;
/// use tonic::{Request, Response, Status};
///
/// struct MyGreeter {
///     zone: String,
/// }
///
/// #[traced_service]
/// #[tonic::async_trait]
/// impl Greeter for MyGreeter {
///     #[traced(name = "SayHELLO", fields(
///         greeting.name = request.get_ref().name.as_str(),
///         greeting.zone = self.zone.as_str(),
///         greeting.hint = request.metadata().get("x-hint").and_then(|hint| hint.to_str().ok()),
///     ))]
///     async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
///         let message = format!("Hello, {}!", request.get_ref().name);
///         get_active_span(|span| {
///             span.set_attribute(KeyValue::new("greeting.length", message.len() as i64));
///             span.add_event("greeted", vec![]);
///         });
///         Ok(Response::new(HelloReply { message }))
///     }
/// }
/// ```
///
/// # Names
///
/// The names on spans and metrics are those on the wire. The service's is, in this order,
///
/// 1. the argument `service`,
/// 2. `greeter_server::SERVICE_NAME`, where the trait is written `greeter_server::Greeter` and that module has it,
/// 3. what the path of the method's first request says. It reaches the handler through tonic's own router.
///
/// The method's is what that path says. Where a handler is called without a path (directly, or through something other than tonic's router) the names of the trait and
/// of the function serve, in `UpperCamelCase`. A handler is only reached by the paths that tonic generated, so a caller cannot make up names.
///
/// That costs one allocation and about 580 instructions an RPC (the router keeps a copy of the URI), and `server.address` and `server.port` some 200 instructions more where an SDK is
/// installed. Without the cargo feature `wire-names`, which is on by default, there is no path to learn from, and neither of the two attributes.
///
/// # Services that call services
///
/// An annotated handler that is called directly by another one, with the request that this got or with one of its own, is part of the same RPC: it adds its `fields` to the span, and nothing
/// is counted twice. One that is called through a client is an RPC of its own, also within the process. (A request is known for the same by its path, so one that came without tonic's router
/// and is handed on counts once more.)
///
/// # Errors
///
/// At compile time, all in one go: what is not the impl of a trait, a method that is neither an `async fn` nor what `#[async_trait]` makes of one, a method that does not
/// take `&self` (or `self: Arc<Self>`) and one request, one that does not return `Result<tonic::Response<T>, tonic::Status>` or an alias of it, an unknown or repeated argument.
///
/// # Panics
///
/// The attribute adds none. A panic of the handler is recorded, and goes on.
pub use otel_macros::traced_service;

#[cfg(feature = "channel")]
pub use client::TracedChannel;
pub use client::{ClientBody, ClientFuture, ClientLayer, ClientService};
pub use instrumentation::{GRPC_DURATION_BOUNDARIES, Instrumentation, InstrumentationBuilder};
pub use layer::filter::{self, Filter};
pub use layer::request::RpcRequest;
pub use server::{ServerBody, ServerFuture, ServerLayer, ServerService, TracedStream};
