//! How do I log each RPC, count messages, tell tenants apart in metrics, and decide on failures?
//!
//! ```console
//! $ cargo run -p examples --bin layer_options
//! ```
//!
//! A service with these options of `ServerLayer`, which are off by default, and one RPC of each of
//! three tenants. `ClientLayer` has the same options, and a configuration file has most of them
//! (`otel-setup/docs/configuration_file.md`).

use std::error::Error;
use std::time::Duration;

use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::greeter_server::{Greeter, GreeterServer};
use examples::helloworld::{HelloReply, HelloRequest};
use examples::servers::Running;
use otel_runtime::{LoggedCalls, RpcRequest, ServerLayer, traced_service};
use otel_setup::Exporter;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Response, Status};

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        match request.into_inner().name.as_str() {
            "" => Err(Status::invalid_argument("a name is missing")),
            "everyone" => Err(Status::resource_exhausted("too many to greet")),
            name => Ok(Response::new(HelloReply {
                message: format!("Hello, {name}!"),
            })),
        }
    }
}

/// Returns the tenant that a request is for, if it has one.
fn tenant<'a>(request: &RpcRequest<'a>) -> [Option<&'a str>; 1] {
    let tenant = request.headers().get("x-tenant-id");
    [tenant.and_then(|tenant| tenant.to_str().ok())]
}

fn layer() -> ServerLayer {
    ServerLayer::new()
        // A line for each RPC, as an access log has.
        .log_calls(LoggedCalls::All)
        // Counters that go up while a stream runs, and the numbers on its span.
        .message_counts()
        // A time series for each of the first two tenants, and one for all others.
        .metric_attributes(["tenant"], tenant)
        .metric_attribute_limit(2)
        // An exhausted quota is an error of this service. The conventions decide on other codes.
        .failures(|_method, code| (code == Code::ResourceExhausted).then_some(true))
        // Attributes of the span, for headers whose names nobody has to list.
        .request_headers(["x-tenant-*"])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let telemetry = otel_setup::builder()
        .service_name("greeter")
        .trace_exporters([Exporter::Console])
        .metric_exporters([Exporter::Console])
        .log_exporters([])
        .init()?;

    let server = Running::start_with(layer(), Routes::new(GreeterServer::new(MyGreeter)))?;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address()))?;
    let mut client = GreeterClient::new(endpoint.connect().await?);
    for (tenant, name) in [("acme", "Ada"), ("blue", "everyone"), ("cyan", "")] {
        let mut request = Request::new(HelloRequest { name: name.into() });
        request.metadata_mut().insert("x-tenant-id", tenant.parse()?);
        match client.say_hello(request).await {
            Ok(reply) => println!("{tenant}: {}", reply.into_inner().message),
            Err(status) => println!("{tenant}: {status}"),
        }
    }
    drop(client);
    server.stop().await?;

    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
