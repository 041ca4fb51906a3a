//! A service of one line of telemetry, which tests run in processes of its own with environment variables of theirs.
//!
//! It serves on loopback, calls itself through a traced channel as often as its first argument says, once by default, and ends. It prints nothing of its own but, on stderr, what went wrong.

use std::process::ExitCode;
use std::time::Duration;

use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::greeter_server::{Greeter, GreeterServer};
use examples::helloworld::{HelloReply, HelloRequest};
use otel_runtime::{TracedChannel, telemetry, traced_service};
use tests::server::serve;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};

struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name } = request.into_inner();
        tracing::info!(name, "greeting");
        Ok(Response::new(HelloReply {
            message: format!("Hello, {name}!"),
        }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let calls = std::env::args().nth(1).map_or(1, |calls| calls.parse().unwrap());
    let telemetry = match telemetry::init() {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("init: {error}");
            return ExitCode::FAILURE;
        }
    };
    let server = serve(Routes::new(GreeterServer::new(MyGreeter))).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let mut client = GreeterClient::new(TracedChannel::connect(endpoint).await.unwrap());
    for _ in 0..calls {
        client.say_hello(HelloRequest { name: "Ada".into() }).await.unwrap();
    }
    drop(server);
    if let Err(error) = telemetry.shutdown(Duration::from_secs(5)).await {
        eprintln!("shutdown: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
