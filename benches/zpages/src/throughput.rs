//! A traced server under load, in one process with its clients.

use std::time::Instant;

use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::greeter_server::{Greeter, GreeterServer};
use examples::helloworld::{HelloReply, HelloRequest};
use otel_runtime::traced_service;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::{Pages, set_up};

const CONNECTIONS: usize = 4;
const CALLS_AT_A_TIME: usize = 16;
const CALLS: usize = 1500;

pub(crate) struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = request.into_inner().name;
        Ok(Response::new(HelloReply { message }))
    }
}

async fn call(channel: Channel) {
    let mut client = GreeterClient::new(channel);
    for _ in 0..CALLS {
        let request = HelloRequest { name: "Ada".to_owned() };
        client.say_hello(request).await.expect("it answers");
    }
}

/// Returns the RPCs per second.
pub(crate) fn measure(pages: Pages) -> f64 {
    let _telemetry = set_up(pages);
    let runtime = tokio::runtime::Runtime::new().expect("it starts");
    runtime.block_on(async {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
        let incoming = incoming.with_nodelay(Some(true));
        let address = incoming.local_addr().expect("it is bound");
        let server = Server::builder().add_service(GreeterServer::new(MyGreeter));
        tokio::spawn(server.serve_with_incoming(incoming));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(endpoint.connect().await.expect("it connects"));
        }
        call(channels[0].clone()).await;
        let begun = Instant::now();
        let calls = channels.iter().cycle().take(CONNECTIONS * CALLS_AT_A_TIME);
        let tasks: Vec<_> = calls.map(|channel| tokio::spawn(call(channel.clone()))).collect();
        for task in tasks {
            task.await.expect("it ends");
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let count = (CONNECTIONS * CALLS_AT_A_TIME * CALLS) as f64;
        count / begun.elapsed().as_secs_f64()
    })
}
