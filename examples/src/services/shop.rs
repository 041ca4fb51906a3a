//! A service with metrics, spans, errors and log records of its own, a call to another service, and
//! work that continues after the reply.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use opentelemetry::context::FutureExt;
use opentelemetry::metrics::{Counter, Histogram, UpDownCounter};
use opentelemetry::trace::{SpanKind, TraceContextExt, Tracer, get_active_span};
use opentelemetry::{Context, KeyValue, global};
use otel_runtime::{TracedChannel, task, traced_service};
use tokio::time::sleep;
use tonic::{Request, Response, Status};

use crate::shop::payment_client::PaymentClient;
use crate::shop::shop_server::Shop;
use crate::shop::{ChargeRequest, Order, Receipt};

/// A [`Shop`] that calls the payment service.
#[derive(Clone, Debug)]
pub struct Storefront {
    payment: PaymentClient<TracedChannel>,
    measures: Measures,
}

/// The shop's instruments. Create them once, after the set-up of telemetry: they belong to the
/// global meter provider of that time.
#[derive(Clone, Debug)]
struct Measures {
    orders: Counter<u64>,
    value: Histogram<f64>,
    in_progress: UpDownCounter<i64>,
}

impl Storefront {
    /// Creates a shop that calls the payment service through `channel`.
    #[must_use]
    pub fn new(channel: TracedChannel) -> Self {
        let meter = global::meter("shop");
        Storefront {
            payment: PaymentClient::new(channel),
            measures: Measures {
                orders: meter
                    .u64_counter("shop.orders")
                    .with_unit("{order}")
                    .with_description("Orders that were placed.")
                    .build(),
                value: meter
                    .f64_histogram("shop.order.value")
                    .with_unit("EUR")
                    .with_description("What an order costs.")
                    .with_boundaries(vec![1.0, 10.0, 100.0, 1000.0])
                    .build(),
                in_progress: meter
                    .i64_up_down_counter("shop.orders.in_progress")
                    .with_unit("{order}")
                    .with_description("Orders that are being placed.")
                    .build(),
            },
        }
    }
}

// No header but `user-agent` is recorded.
#[traced_service(request_headers("user-agent"))]
#[tonic::async_trait]
impl Shop for Storefront {
    #[traced(fields(order.item = request.get_ref().item.as_str(), order.quantity = request.get_ref().quantity))]
    async fn place_order(&self, request: Request<Order>) -> Result<Response<Receipt>, Status> {
        let order = request.into_inner();
        let _in_progress = InProgress::begin(&self.measures.in_progress);

        let price = query_price(&order.item).await.map_err(|error| {
            // Adds an event to the RPC's span, with more than the status says.
            get_active_span(|span| span.record_error(&error));
            Status::not_found(error.to_string())
        })?;
        let total = process_business_logic(&order, price)?;

        // The channel propagates the RPC's trace and baggage.
        let charge = ChargeRequest { amount: total };
        let reply = self.payment.clone().charge(charge).await?.into_inner();

        self.measures.orders.add(1, &[KeyValue::new("item", order.item)]);
        self.measures.value.record(total, &[]);
        tracing::info!(total, reference = reply.reference, "order placed");
        // The reply does not wait for this task. With `tokio::spawn`, it would not be in the trace.
        task::spawn(send_confirmation(reply.reference.clone()));
        Ok(Response::new(Receipt {
            number: reply.reference,
            total,
        }))
    }
}

/// Creates a span with OpenTelemetry's API, around a future.
async fn query_price(item: &str) -> Result<f64, NotInStock> {
    let tracer = global::tracer("shop");
    let span = tracer
        .span_builder("database-query")
        .with_kind(SpanKind::Client)
        .with_attributes([
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.query.text", "SELECT price FROM items WHERE name = $1"),
        ])
        .start(&tracer);
    let query = async {
        sleep(Duration::from_millis(3)).await;
        let price = match item {
            "apple" => Some(0.5),
            "gold" => Some(2_000.0),
            _ => None,
        };
        price.ok_or_else(|| NotInStock(item.to_owned()))
    };
    query.with_context(Context::current_with_span(span)).await
}

/// Creates a span with `tracing`, which also becomes a child of the RPC's.
#[tracing::instrument(name = "process-business-logic", skip_all, fields(quantity = order.quantity), err)]
fn process_business_logic(order: &Order, price: f64) -> Result<f64, Status> {
    if order.quantity == 0 {
        return Err(Status::invalid_argument("an order of nothing"));
    }
    Ok(price * f64::from(order.quantity))
}

#[tracing::instrument(name = "send-confirmation")]
async fn send_confirmation(reference: String) {
    sleep(Duration::from_millis(5)).await;
    tracing::info!("confirmation sent");
}

/// A guard that decrements the counter when it is dropped, also if the caller cancels the RPC.
struct InProgress<'a>(&'a UpDownCounter<i64>);

impl<'a> InProgress<'a> {
    fn begin(counter: &'a UpDownCounter<i64>) -> Self {
        counter.add(1, &[]);
        InProgress(counter)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}

/// The error for an item that the shop does not have.
#[derive(Debug)]
struct NotInStock(String);

impl fmt::Display for NotInStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {:?} in stock", self.0)
    }
}

impl Error for NotInStock {}
