//! A service in a chain of calls, with `otel_setup::init` alone: `hop [NEXT]`.
//!
//! With the address of a next service, the service forwards the call and returns its response.
//! Without one, it returns the text of the request, and the `user` of the baggage. It prints its
//! address, and stops at the end of its standard input.

use std::io::Read;
use std::time::Duration;

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve_with;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use otel_runtime::{ServerLayer, TracedChannel, traced_service};
use tokio::task::spawn_blocking;
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

struct Hop {
    next: Option<UnaryClient<TracedChannel>>,
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Hop {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let message = request.into_inner();
        if let Some(next) = &self.next {
            return next.clone().call(message).await;
        }
        let user = Context::map_current(|context| context.baggage().get("user").map(ToString::to_string));
        match message.text.as_str() {
            "nobody" => Err(Status::not_found("nobody of that name")),
            text => Ok(Response::new(Message::from(&*format!(
                "{text} {}",
                user.unwrap_or_default()
            )))),
        }
    }
}

#[tokio::main]
async fn main() {
    let telemetry = otel_setup::init().unwrap();
    let next = match std::env::args().nth(1) {
        None => None,
        Some(address) => {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            Some(UnaryClient::new(TracedChannel::connect(endpoint).await.unwrap()))
        }
    };
    let server = Server::builder().layer(ServerLayer::new());
    let running = serve_with(server, Routes::new(UnaryServer::new(Hop { next }))).await;
    println!("> {}", running.address);
    spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
    drop(running);
    telemetry.shutdown(Duration::from_secs(5)).await.unwrap();
}
