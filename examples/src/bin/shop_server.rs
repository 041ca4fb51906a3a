//! A shop and its cashier, with traces, metrics and logs, until Ctrl-C or SIGTERM.
//!
//! Run it with `cargo run -p examples --bin shop_server`. `PORT` is the port to listen on, 50051 by
//! default. Environment variables configure the exporters. If you have no collector, set
//! `OTEL_TRACES_EXPORTER=console OTEL_METRICS_EXPORTER=console OTEL_LOGS_EXPORTER=none`.

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use examples::services::{Cashier, Storefront};
use examples::shop::payment_server::PaymentServer;
use examples::shop::shop_server::ShopServer;
use examples::stop;
use otel_runtime::{ServerLayer, TracedChannel};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let telemetry = otel_setup::builder()
        .service_name("shop")
        .service_version(env!("CARGO_PKG_VERSION"))
        .init()?;

    let port = env::var("PORT").map_or(Ok(50051), |port| port.parse())?;
    let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, port).into())?.with_nodelay(Some(true));
    let address = incoming.local_addr()?;
    // Both services run in this server, and the shop calls the cashier over the network.
    let cashier = TracedChannel::connect_lazy(&Endpoint::from_shared(format!("http://{address}"))?);
    tracing::info!(%address, "open");
    Server::builder()
        .layer(ServerLayer::new())
        .add_service(ShopServer::new(Storefront::new(cashier)))
        .add_service(PaymentServer::new(Cashier))
        .serve_with_incoming_shutdown(incoming, async {
            if let Err(error) = stop::requested().await {
                tracing::error!("cannot listen for signals, shutting down: {error}");
            }
        })
        .await?;
    tracing::info!("closed");

    // Exports the telemetry of the last RPCs, within five seconds.
    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
