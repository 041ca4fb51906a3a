#![doc = include_str!("../README.md")]

mod deadline;
mod field;
mod instrumentation;
mod propagation;
mod semconv;
mod server;
mod status;

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
/// struct MyGreeter;
///
/// #[telemetry::otel_runtime::traced_service(service = greeter_server::SERVICE_NAME, crate = telemetry::otel_runtime)]
/// #[tonic::async_trait]
/// impl greeter_server::Greeter for MyGreeter {
///     async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
///         # let _ = request;
///         // …
///         # Ok(Response::new(HelloReply::default()))
///     }
/// }
/// ```
///
/// # Names
///
/// The names on spans and metrics are those on the wire. The service's is, in this order,
///
/// 1. the argument `service`,
/// 2. `greeter_server::SERVICE_NAME`, where the trait is written `greeter_server::Greeter`,
/// 3. what the path of the method's first request says. It reaches the handler through tonic's own router.
///
/// The method's is what that path says. Where a handler is called without a path (directly, or through something other than tonic's router) the names of the trait and
/// of the function serve, in `UpperCamelCase`. A handler is only reached by the paths that tonic generated, so a caller cannot make up names.
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

pub use instrumentation::{Instrumentation, InstrumentationBuilder};
pub use server::TracedStream;
