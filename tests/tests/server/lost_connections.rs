//! RPCs in progress end when their connection is lost or their server stops.

use integration_tests::coverage::{Coverage, RPCS};
use integration_tests::rpc::{call, read_to_end, request};
use integration_tests::scripted::{Plain, ScriptedService};
use integration_tests::server::serve_with;
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::ServerLayer;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tonic::Code;
use tonic::transport::{Endpoint, Server, Uri};

const RPC: &str = "kinds.ServerStream/Call";

/// Returns a runtime that a test can shut down, with everything that runs on it.
fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

async fn assert_ended_with(telemetry: &Telemetry, code: &str) {
    let span = telemetry.span().await;
    assert_eq!(span.name, RPC);
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], code);
    assert_eq!(telemetry.durations(1).await[0]["rpc.status_code"], code);
}

/// The connection is reset, instead of being closed by a GOAWAY.
#[tokio::test]
async fn connection_reset_mid_stream() {
    for coverage in Coverage::ALL {
        let telemetry = Telemetry::start();
        let handler = ScriptedService::default();
        let server = coverage.serve(&handler).await;
        let address = server.address;
        let client = runtime();
        client.spawn(async move {
            let connect = tower::service_fn(move |_: Uri| async move {
                let socket = TcpStream::connect(address).await?;
                socket.set_zero_linger()?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(socket))
            });
            let channel = Endpoint::from_static("http://localhost")
                .connect_with_connector(connect)
                .await;
            read_to_end(call(channel.unwrap(), RPC, request("later wait")).await).await
        });
        handler.waits().await;
        client.shutdown_background();
        assert_ended_with(&telemetry, "CANCELLED").await;
    }
}

/// A server that shuts down gracefully completes its RPCs first.
#[tokio::test]
async fn graceful_shutdown_mid_stream() {
    for coverage in Coverage::ALL {
        let telemetry = Telemetry::start();
        let handler = ScriptedService::default();
        let server = coverage.serve(&handler).await;
        let replies = call(server.channel().await, RPC, request("later wait")).await;
        handler.waits().await;
        drop(server);
        assert_eq!(telemetry.metrics().active_request_count(), 1);
        handler.release();
        let (messages, status) = read_to_end(replies).await;
        assert_eq!((messages, status.code()), (2, Code::Ok));
        assert_ended_with(&telemetry, "OK").await;
    }
}

/// The server's runtime is shut down, with RPCs in progress.
#[tokio::test]
async fn server_killed_mid_stream() {
    for coverage in Coverage::ALL {
        let telemetry = Telemetry::start();
        let handler = ScriptedService::default();
        let process = runtime();
        let server = {
            let handler = handler.clone();
            process.spawn(async move { coverage.serve(&handler).await })
        };
        let server = server.await.unwrap();
        let replies = call(server.channel().await, RPC, request("later wait")).await;
        handler.waits().await;
        process.shutdown_background();
        assert_ended_with(&telemetry, "CANCELLED").await;
        let (_, status) = read_to_end(replies).await;
        assert_ne!(status.code(), Code::Ok);
    }
}

/// The server closes connections at their maximum age, even with RPCs in progress.
#[tokio::test]
async fn maximum_connection_age() {
    let telemetry = Telemetry::start();
    let handler = ScriptedService::default();
    let server = Server::builder()
        .max_connection_age(std::time::Duration::from_millis(200))
        .max_connection_age_grace(std::time::Duration::from_millis(200))
        .layer(ServerLayer::new().known_methods(RPCS));
    let server = serve_with(server, Plain::routes(&handler)).await;
    let replies = call(server.channel().await, RPC, request("later wait")).await;
    assert_ended_with(&telemetry, "CANCELLED").await;
    let (_, status) = read_to_end(replies).await;
    assert_ne!(status.code(), Code::Ok);
}
