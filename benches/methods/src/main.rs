//! A server of many methods, and a client that calls each of them once.
//!
//! The program prints the time of its start, and its memory before and after the calls. The
//! environment of its build decides which services it has: see `build.rs`.

use std::error::Error;
use std::fs;
use std::time::Instant;

use opentelemetry::global;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use otel_runtime::propagation;
use tonic::client::Grpc;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic_prost::ProstCodec;

/// Code that tonic generates.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod generated {
    tonic::include_proto!("methods");
}

struct Services;

include!(concat!(env!("OUT_DIR"), "/services.rs"));

/// A message with the fields of every request and response.
#[derive(Clone, PartialEq, prost::Message)]
struct Line {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

fn install() {
    let tracers = SdkTracerProvider::builder().with_batch_exporter(Nowhere).build();
    let meters = SdkMeterProvider::builder().with_reader(ManualReader::default()).build();
    global::set_tracer_provider(tracers);
    global::set_meter_provider(meters);
    propagation::set_global(propagation::TraceContextPropagator::new());
}

/// Serves and calls every method, in a `ServerLayer` if the argument is `layer`.
///
/// Prints microseconds up to the first response, and KiB of memory then. Prints microseconds of the
/// first call of a method, and KiB of memory after all.
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    // The bare server installs the SDK as well, so that the programs differ in their services
    // alone.
    install();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
    let address = incoming.local_addr()?;
    if std::env::args().any(|argument| argument == "layer") {
        let mut server = Server::builder().layer(otel_runtime::ServerLayer::new());
        tokio::spawn(server.add_routes(services()).serve_with_incoming(incoming));
    } else {
        tokio::spawn(Server::builder().add_routes(services()).serve_with_incoming(incoming));
    }
    let mut client = Grpc::new(Endpoint::new(format!("http://{address}"))?.connect().await?);
    call(&mut client, 0).await?;
    let started = start.elapsed().as_micros();
    let memory = resident()?;

    let start = Instant::now();
    for method in 0..METHODS {
        call(&mut client, method).await?;
    }
    let each = start.elapsed().as_micros() / METHODS as u128;
    println!("{started} {memory} {each} {}", resident()?);
    Ok(())
}

async fn call(client: &mut Grpc<tonic::transport::Channel>, method: usize) -> Result<(), Box<dyn Error>> {
    client.ready().await?;
    let path = format!("/methods.Service{}/Method{method}", method / IN_A_SERVICE);
    let request = tonic::Request::new(Line {
        text: "Hello,".to_owned(),
    });
    let codec = ProstCodec::<Line, Line>::default();
    let mut replies = client
        .server_streaming(request, path.parse()?, codec)
        .await?
        .into_inner();
    let reply = replies.message().await?.ok_or("no reply")?;
    // The stream is read to the trailers.
    if reply.text != format!("Hello, {method}") || replies.message().await?.is_some() {
        return Err(format!("{path} has answered {reply:?}").into());
    }
    Ok(())
}

/// Returns the resident memory of this process, in KiB.
fn resident() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.ok_or("no VmRSS")?.trim().trim_end_matches(" kB").parse()?)
}
