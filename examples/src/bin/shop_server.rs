//! How do I add spans, metrics, log records and baggage of my own, and shut down without loss?
//!
//! ```console
//! $ cargo run -p examples --bin shop_server
//! $ cargo run -p examples --bin shop_client    # in another terminal
//! ```
//!
//! A shop and its cashier, until Ctrl-C or SIGTERM. The handlers are in `examples/src/services/`.
//! Telemetry is exported as the environment variables say. Without a collector:
//! `OTEL_TRACES_EXPORTER=console OTEL_METRICS_EXPORTER=console OTEL_LOGS_EXPORTER=none`. `PORT` is
//! the port of the shop, 50051 by default.

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use examples::services::{Cashier, Storefront};
use examples::shop::payment_server::PaymentServer;
use examples::shop::shop_server::ShopServer;
use examples::stop;
use otel_runtime::{LoggedCalls, ServerLayer, TracedChannel};
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
    // Both services are in one server, and the shop calls the payment service over the network.
    let cashier = TracedChannel::connect_lazy(&Endpoint::from_shared(format!("http://{address}"))?);
    tracing::info!(%address, "open");
    Server::builder()
        // Logs one line for each RPC, as an access log does.
        .layer(ServerLayer::new().log_calls(LoggedCalls::All))
        .add_service(ShopServer::new(Storefront::new(cashier)))
        .add_service(PaymentServer::new(Cashier))
        .serve_with_incoming_shutdown(incoming, async {
            if let Err(error) = stop::requested().await {
                tracing::error!("stopping, because signals cannot be received: {error}");
            }
        })
        .await?;
    tracing::info!("closed");

    // Exports the telemetry of the last RPCs. If that fails, the service ends nevertheless.
    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
