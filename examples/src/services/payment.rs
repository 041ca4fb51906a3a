//! The payment service, which reads the baggage of its caller's client.

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

use crate::shop::payment_server::Payment;
use crate::shop::{ChargeReply, ChargeRequest};

/// A [`Payment`] that accepts any amount up to a limit.
#[derive(Clone, Copy, Debug)]
pub struct Cashier;

const LIMIT: f64 = 1000.0;

#[traced_service]
#[tonic::async_trait]
impl Payment for Cashier {
    async fn charge(&self, request: Request<ChargeRequest>) -> Result<Response<ChargeReply>, Status> {
        let ChargeRequest { amount } = request.into_inner();
        // The shop's client has set the baggage, and the shop has propagated it.
        let customer = Context::map_current(|context| context.baggage().get("customer.id").map(ToString::to_string));
        let customer = customer.unwrap_or_else(|| "nobody we know".to_owned());
        tracing::info!(customer, amount, "charging");
        if amount > LIMIT {
            return Err(Status::failed_precondition(format!("{amount} is more than {LIMIT}")));
        }
        Ok(Response::new(ChargeReply {
            reference: format!("{customer}-{amount}"),
        }))
    }
}
