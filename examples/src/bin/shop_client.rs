//! How do I start a trace in a client, and send baggage with its calls?
//!
//! ```console
//! $ cargo run -p examples --bin shop_client
//! ```
//!
//! A customer of `shop_server`. Telemetry is exported as the environment variables say. `PORT` is
//! the port of the shop, 50051 by default.

use std::env;
use std::error::Error;
use std::time::Duration;

use examples::shop::Order;
use examples::shop::shop_client::ShopClient;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use otel_runtime::TracedChannel;
use tonic::transport::Endpoint;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let telemetry = otel_setup::builder().service_name("customer").init()?;

    let port = env::var("PORT").unwrap_or_else(|_| "50051".to_owned());
    let endpoint = Endpoint::from_shared(format!("http://localhost:{port}"))?;
    let shop = ShopClient::new(TracedChannel::connect(endpoint).await?);
    for (item, quantity) in [("apple", 6), ("unicorn", 1), ("apple", 0), ("gold", 1)] {
        let span = global::tracer("customer").start(format!("buy {item}"));
        // Each order is a trace of its own. Its baggage reaches every service in that trace.
        let context = Context::current_with_span(span).with_baggage([KeyValue::new("customer.id", "ada")]);
        let order = Order {
            item: item.to_owned(),
            quantity,
        };
        let mut shop = shop.clone();
        let reply = shop.place_order(order).with_context(context).await;
        match reply {
            Ok(receipt) => println!("{quantity} {item}: {}", receipt.into_inner().total),
            Err(status) => println!("{quantity} {item}: {:?}, {}", status.code(), status.message()),
        }
    }

    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
