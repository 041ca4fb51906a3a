//! How does work that a handler starts and does not wait for stay in the RPC's trace?
//!
//! ```console
//! $ cargo run -p examples --bin background_task
//! ```
//!
//! A task, a blocking task and a thread are in the trace. A task of `tokio::spawn` is not.

use std::error::Error;
use std::thread;
use std::time::Duration;

use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::greeter_server::{Greeter, GreeterServer};
use examples::helloworld::{HelloReply, HelloRequest};
use examples::servers::Running;
use otel_runtime::{TracedChannel, task, traced_service};
use otel_setup::Exporter;
use tokio::sync::mpsc;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};

struct BusyGreeter {
    /// Is closed when all work is done, because each task holds a clone.
    work: mpsc::Sender<()>,
}

#[traced_service]
#[tonic::async_trait]
impl Greeter for BusyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name } = request.into_inner();

        let work = self.work.clone();
        task::spawn(async move {
            write_report("a task").await;
            drop(work);
        });

        let work = self.work.clone();
        task::spawn_blocking(move || {
            compress("a blocking task");
            drop(work);
        });

        // For anything else that runs closures or futures.
        let work = self.work.clone();
        thread::spawn(task::in_current_context_fn(move || {
            compress("a thread");
            drop(work);
        }));

        // Without the context, so its span starts a trace of its own.
        let work = self.work.clone();
        tokio::spawn(async move {
            write_report("a task without a context").await;
            drop(work);
        });

        Ok(Response::new(HelloReply {
            message: format!("Hello, {name}!"),
        }))
    }
}

#[tracing::instrument]
async fn write_report(by: &str) {
    tokio::time::sleep(Duration::from_millis(10)).await;
    tracing::info!("the report is written");
}

#[tracing::instrument]
fn compress(by: &str) {
    thread::sleep(Duration::from_millis(5));
    tracing::info!("everything is smaller now");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let telemetry = otel_setup::builder()
        .service_name("busy-greeter")
        .trace_exporters([Exporter::Console])
        .metric_exporters([])
        .log_exporters([])
        .init()?;

    let (work, mut done) = mpsc::channel(1);
    let server = Running::start(Routes::new(GreeterServer::new(BusyGreeter { work })))?;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address()))?;
    let mut client = GreeterClient::new(TracedChannel::connect(endpoint).await?);
    client.say_hello(HelloRequest { name: "Ada".into() }).await?;
    drop(client);
    server.stop().await?;
    // No task sends anything. The channel closes when the last one has ended.
    let _ = done.recv().await;

    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
