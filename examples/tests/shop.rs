//! How do I test the telemetry of a service that has spans and metrics of its own?
//!
//! The shop takes its tracer and its instruments from the global providers, so the tests do, too.
//! They run one after the other, and each starts with nothing recorded.

use examples::services::{Cashier, Storefront};
use examples::shop::payment_server::PaymentServer;
use examples::shop::shop_client::ShopClient;
use examples::shop::shop_server::ShopServer;
use examples::shop::{Order, Receipt};
use otel_runtime::{ServerLayer, TracedChannel};
use otel_setup::testing::TestTelemetry;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Status};

/// Serves the shop and its cashier on a free port, and orders.
async fn order(item: &str, quantity: u32) -> Result<Receipt, Status> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", incoming.local_addr().unwrap());
    let endpoint = Endpoint::from_shared(address).unwrap();
    let server = Server::builder()
        .layer(ServerLayer::new())
        .add_service(ShopServer::new(Storefront::new(TracedChannel::connect_lazy(&endpoint))))
        .add_service(PaymentServer::new(Cashier));
    tokio::spawn(server.serve_with_incoming(incoming));
    let mut customer = ShopClient::new(endpoint.connect().await.unwrap());
    let order = Order {
        item: item.to_owned(),
        quantity,
    };
    Ok(customer.place_order(order).await?.into_inner())
}

#[tokio::test]
async fn an_order_has_a_query_and_a_charge_in_its_trace() {
    let telemetry = TestTelemetry::global();
    let receipt = order("apple", 3).await.unwrap();
    assert!((receipt.total - 1.5).abs() < f64::EPSILON);

    let placed = telemetry.server_span("shop.Shop/PlaceOrder").await;
    placed
        .assert_attribute("rpc.status_code", "OK")
        .assert_attribute("order.item", "apple")
        .assert_attribute("order.quantity", 3);
    placed
        .child("database-query")
        .await
        .assert_attribute("db.system.name", "postgresql");
    let charge = placed.child("shop.Payment/Charge").await;
    charge
        .child("shop.Payment/Charge")
        .await
        .assert_attribute("rpc.status_code", "OK");

    telemetry.metric("shop.orders").with("item", "apple").assert_value(1);
    telemetry.metric("shop.order.value").assert_value(1.5);
    telemetry.metric("shop.orders.in_progress").assert_value(0);
    telemetry.assert_balanced().await;
}

#[tokio::test]
async fn an_order_of_something_unknown_is_not_charged() {
    let telemetry = TestTelemetry::global();
    let status = order("unicorn", 1).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);

    let placed = telemetry.server_span("shop.Shop/PlaceOrder").await;
    placed
        .assert_attribute("rpc.status_code", "NOT_FOUND")
        .assert_no_attribute("error.type");
    let children: Vec<_> = placed
        .children()
        .into_iter()
        .map(|child| child.into_data().name)
        .collect();
    assert_eq!(children, ["database-query"]);
    telemetry.metric("shop.orders").assert_value(0);
    telemetry.assert_balanced().await;
}
