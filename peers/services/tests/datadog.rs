//! Datadog's exporter, whose crate pins OpenTelemetry to 0.33.0, gets the spans of RPCs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use datadog_opentelemetry::configuration::Config;
use integration_tests::server::serve;
use opentelemetry::global;
use opentelemetry::trace::{Span, Tracer};
use otel_runtime::{ClientLayer, traced_service};
use tokio_stream::Empty;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_layer::Layer;

struct Healthy;

#[traced_service]
#[tonic::async_trait]
impl Health for Healthy {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        global::tracer("app").start("lookup").end();
        let status = ServingStatus::Serving.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    type WatchStream = Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("nobody watches"))
    }
}

/// Reads a request, and answers it. Returns its path and its body.
fn answer(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(&*stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_ascii_lowercase()),
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let response = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(response.as_bytes()).ok()?;
    let path = head.first()?.split(' ').nth(1)?.to_owned();
    Some((path, body))
}

/// Starts an agent, which passes on the traces that it gets.
fn start_agent(traces: Sender<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, traces) = (stream.unwrap(), traces.clone());
            thread::spawn(move || {
                while let Some((path, body)) = answer(&mut stream) {
                    if path == "/v0.4/traces" && body.len() > 1 {
                        let _ = traces.send(body);
                    }
                }
            });
        }
    });
    address
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn rpc_and_the_program_have_one_trace() {
    let (sender, traces) = channel();
    let mut config = Config::builder();
    config
        .set_trace_agent_url(format!("http://{}", start_agent(sender)))
        .set_telemetry_enabled(false)
        .set_remote_config_enabled(false)
        .set_trace_stats_computation_enabled(false);
    let provider = datadog_opentelemetry::tracing().with_config(config.build()).init();

    let server = serve(Routes::new(HealthServer::new(Healthy))).await;
    let channel = ClientLayer::new("health.example:50051").layer(server.channel().await);
    let mut client = HealthClient::new(channel);
    client.check(HealthCheckRequest::default()).await.unwrap();
    drop((client, server));
    tokio::task::spawn_blocking(move || {
        provider.force_flush().unwrap();
        let body = traces.recv_timeout(Duration::from_secs(20)).unwrap();
        // MessagePack: one trace of three spans.
        assert_eq!(body[..2], [0x91, 0x93], "{}", String::from_utf8_lossy(&body));
        for text in ["grpc.health.v1.Health/Check", "lookup", "health.example"] {
            assert!(contains(&body, text), "{text}: {}", String::from_utf8_lossy(&body));
        }
        provider.shutdown_with_timeout(Duration::from_secs(1)).unwrap();
    })
    .await
    .unwrap();
}
