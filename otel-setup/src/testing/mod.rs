//! Spans and metrics in memory, for tests of a service's telemetry.
//!
//! [`TestTelemetry`] is OpenTelemetry's SDK for one test or for the process, and waits for what the
//! service records. A failed assertion shows the recorded traces.
//!
//! ```
//! use examples::helloworld::greeter_client::GreeterClient;
//! use examples::helloworld::greeter_server::{Greeter, GreeterServer};
//! use examples::helloworld::{HelloReply, HelloRequest};
//! use otel_runtime::traced_service;
//! use otel_setup::testing::TestTelemetry;
//! use tonic::{Request, Response, Status};
//!
//! struct MyGreeter;
//!
//! #[traced_service]
//! #[tonic::async_trait]
//! impl Greeter for MyGreeter {
//!     #[traced(fields(greeting.name = request.get_ref().name.as_str()))]
//!     async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
//!         let message = format!("Hello, {}!", request.get_ref().name);
//!         Ok(Response::new(HelloReply { message }))
//!     }
//! }
//!
//! // In a test, `#[tokio::test]`:
//! # #[tokio::main]
//! # async fn main() -> Result<(), Status> {
//! let telemetry = TestTelemetry::new();
//! let mut client = GreeterClient::new(telemetry.in_process(GreeterServer::new(MyGreeter)));
//! client.say_hello(HelloRequest { name: "Ada".into() }).await?;
//!
//! let method = "helloworld.Greeter/SayHello";
//! let span = telemetry.server_span(method).await;
//! span.assert_attribute("greeting.name", "Ada").assert_attribute("rpc.status_code", "OK");
//! assert_eq!(span.children().len(), 0);
//! telemetry.metric("rpc.server.call.duration").with("rpc.method", method).assert_count(1);
//! telemetry.assert_balanced().await;
//! # Ok(())
//! # }
//! ```
//!
//! # One test or the process
//!
//! [`TestTelemetry::new`] belongs to one test: nothing is global, and tests run in parallel. A
//! `#[traced_service]` finds it behind a `ServerLayer` with its
//! [`instrumentation`](TestTelemetry::instrumentation). [`in_process`](TestTelemetry::in_process)
//! adds one around a service; `Server::builder().layer(…)` takes one as well:
//!
//! ```
//! use otel_runtime::{ClientLayer, ServerLayer};
//! use otel_setup::testing::TestTelemetry;
//!
//! let telemetry = TestTelemetry::new();
//! let server = ServerLayer::new().instrumentation(telemetry.instrumentation());
//! let client = ClientLayer::new("http://localhost:50051").instrumentation(telemetry.instrumentation());
//! # let _ = (server, client);
//! ```
//!
//! Spans and metrics that a handler records with the global tracer or meter are not there.
//! [`TestTelemetry::global`] has them: it sets the providers of the process. Tests of one process
//! that use it wait for each other, so call it first in each test that makes RPCs.

mod balance;
mod metrics;
mod points;
mod recorder;
mod report;
mod sdk;
mod span;
mod telemetry;
mod turn;
mod wait;

pub use metrics::{RecordedMetric, RecordedMetrics};
pub use points::RecordedPoint;
pub use span::RecordedSpan;
pub use telemetry::TestTelemetry;
