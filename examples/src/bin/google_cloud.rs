//! How do I continue traces that arrive in another format than W3C Trace Context?
//!
//! ```console
//! $ cargo run -p examples --bin google_cloud
//! ```
//!
//! A service behind Google Cloud's load balancer, which sends the caller's span in
//! `X-Cloud-Trace-Context`. Instead of the propagator in the code, the environment variable
//! `OTEL_PROPAGATORS=gcp,tracecontext,baggage` would do.

use std::error::Error;
use std::time::Duration;

use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::greeter_server::{Greeter, GreeterServer};
use examples::helloworld::{HelloReply, HelloRequest};
use examples::servers::Running;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use otel_runtime::{propagation, traced_service};
use otel_setup::Exporter;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name } = request.into_inner();
        let trace_id = Context::map_current(|context| context.span().span_context().trace_id());
        // A `TracedChannel` injects the context by itself. This is for calls without one.
        let mut outgoing = MetadataMap::new();
        propagation::inject_current(&mut outgoing);
        let header = outgoing
            .get("x-cloud-trace-context")
            .and_then(|header| header.to_str().ok());
        println!(
            "outgoing calls carry x-cloud-trace-context: {}",
            header.unwrap_or("nothing")
        );
        Ok(Response::new(HelloReply {
            message: format!("Hello, {name}! You are in trace {trace_id}."),
        }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let telemetry = otel_setup::builder()
        .service_name("greeter")
        // If both headers are there, the last propagator in the list wins.
        .propagator(propagation::from_names("gcp,tracecontext,baggage"))
        .trace_exporters([Exporter::Console])
        .metric_exporters([])
        .log_exporters([])
        .init()?;

    let server = Running::start(Routes::new(GreeterServer::new(MyGreeter)))?;
    // The load balancer's header: trace id, span id in decimal, and the sampled flag.
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address()))?;
    let mut client = GreeterClient::new(endpoint.connect().await?);
    let mut request = Request::new(HelloRequest { name: "Ada".into() });
    let header = "105445aa7843bc8bf206b12000100000/1;o=1".parse()?;
    request.metadata_mut().insert("x-cloud-trace-context", header);
    let reply = client.say_hello(request).await?.into_inner();
    println!("{}", reply.message);
    drop(client);
    server.stop().await?;

    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
