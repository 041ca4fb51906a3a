//! How do the log lines of a `tracing` subscriber of my own name the RPC that they belong to?
//!
//! ```console
//! $ cargo run -p examples --bin own_subscriber
//! ```
//!
//! A service whose lines are written by `tracing_subscriber::fmt`, as in many programs, and whose
//! spans are exported. `ServerLayer::tracing_span` opens a `tracing` span around each RPC: each
//! line has its method, and the last one its code. The trace has it once, as OpenTelemetry's span.

use std::error::Error;
use std::time::Duration;

use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::greeter_server::{Greeter, GreeterServer};
use examples::helloworld::{HelloReply, HelloRequest};
use examples::servers::Running;
use otel_runtime::{ServerLayer, TRACING_SPAN_TARGET, traced_service};
use otel_setup::Exporter;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::prelude::*;

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name } = request.into_inner();
        tracing::info!(name, "greeting");
        if name.is_empty() {
            return Err(Status::invalid_argument("a name is missing"));
        }
        let message = compose(&name);
        Ok(Response::new(HelloReply { message }))
    }
}

#[tracing::instrument(level = "debug", skip_all)]
fn compose(name: &str) -> String {
    tracing::debug!("composing");
    format!("Hello, {name}!")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let telemetry = otel_setup::builder()
        .service_name("greeter")
        .trace_exporters([Exporter::Console])
        .metric_exporters([])
        .log_exporters([])
        .span_directives("debug")
        .without_subscriber()
        .init()?;
    // The program's own subscriber: lines, with one when a span closes, and exported spans.
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE)
        .with_filter(Targets::new().with_targets([
            ("own_subscriber", LevelFilter::DEBUG),
            (TRACING_SPAN_TARGET, LevelFilter::INFO),
        ]));
    // This layer leaves the RPC's `tracing` span out. One of `tracing_opentelemetry` needs a filter
    // for that, which the documentation of `tracing_span` shows.
    let exported = telemetry.spans_layer();
    tracing_subscriber::registry().with(lines).with(exported).init();

    let layer = ServerLayer::new().tracing_span();
    let server = Running::start_with(layer, Routes::new(GreeterServer::new(MyGreeter)))?;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address()))?;
    let mut client = GreeterClient::new(endpoint.connect().await?);
    for name in ["Ada", ""] {
        match client.say_hello(HelloRequest { name: name.into() }).await {
            Ok(reply) => println!("{}", reply.into_inner().message),
            Err(status) => println!("{status}"),
        }
    }
    drop(client);
    server.stop().await?;

    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
