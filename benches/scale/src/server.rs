//! A server, in a process of its own.

use std::error::Error;

use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use otel_runtime::ServerLayer;
use tokio::io::AsyncReadExt;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::proto::bench_server::BenchServer;
use crate::sdk::{self, Mode};
use crate::service::{Bare, Sdk, Traced};
use crate::variants::Variant;

/// Serves until its input ends. Prints its port first, and the recorded counts last.
#[tokio::main]
pub(crate) async fn serve(variant: Variant) -> Result<(), Box<dyn Error>> {
    let mode = if variant.is_traced() { Mode::Batch } else { Mode::NoSdk };
    let installed = sdk::install(mode);
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
    println!("{}", incoming.local_addr()?.port());
    let stop = async {
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    let mut server = Server::builder();
    let end = match variant {
        Variant::Bare => {
            let services = server.add_service(BenchServer::new(Bare));
            services.serve_with_incoming_shutdown(incoming, stop).await
        }
        Variant::Sdk => {
            let services = server.add_service(BenchServer::new(Sdk));
            services.serve_with_incoming_shutdown(incoming, stop).await
        }
        Variant::Attribute => {
            let services = server.add_service(BenchServer::new(Traced));
            services.serve_with_incoming_shutdown(incoming, stop).await
        }
        Variant::AttributeAndLayer => {
            let mut server = server.layer(ServerLayer::new());
            let services = server.add_service(BenchServer::new(Traced));
            services.serve_with_incoming_shutdown(incoming, stop).await
        }
        Variant::Competitor => {
            let mut server = server.layer(LayerBuilder::builder().build()?);
            let services = server.add_service(BenchServer::new(Bare));
            services.serve_with_incoming_shutdown(incoming, stop).await
        }
    };
    end?;
    let (spans, durations) = installed.recorded();
    println!("{spans} {durations}");
    Ok(())
}
