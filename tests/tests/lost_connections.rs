//! An RPC ends with its connection, and with its server.

use integration_tests::rpc::{call, read_to_end, request};
use integration_tests::server::serve_with;
use integration_tests::set_ups::{Obedient, Plain, RPCS, SetUp};
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::ServerLayer;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tonic::Code;
use tonic::transport::{Endpoint, Server, Uri};

const RPC: &str = "kinds.ServerStream/Call";

/// A runtime that a test can take away with all that runs in it.
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

/// With a reset and not with a goodbye.
#[tokio::test]
async fn that_is_reset_mid_stream() {
    for set_up in SetUp::ALL {
        let telemetry = Telemetry::start();
        let obedient = Obedient::default();
        let server = set_up.serve(&obedient).await;
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
        obedient.waits().await;
        client.shutdown_background();
        assert_ended_with(&telemetry, "CANCELLED").await;
    }
}

/// The server stops once its RPCs have ended.
#[tokio::test]
async fn of_a_server_that_shuts_down_mid_stream() {
    for set_up in SetUp::ALL {
        let telemetry = Telemetry::start();
        let obedient = Obedient::default();
        let server = set_up.serve(&obedient).await;
        let replies = call(server.channel().await, RPC, request("later wait")).await;
        obedient.waits().await;
        drop(server);
        assert_eq!(telemetry.metrics().active_request_count(), 1);
        obedient.release();
        let (messages, status) = read_to_end(replies).await;
        assert_eq!((messages, status.code()), (2, Code::Ok));
        assert_ended_with(&telemetry, "OK").await;
    }
}

/// The server stops at once.
#[tokio::test]
async fn of_a_server_that_is_killed_mid_stream() {
    for set_up in SetUp::ALL {
        let telemetry = Telemetry::start();
        let obedient = Obedient::default();
        let process = runtime();
        let server = {
            let obedient = obedient.clone();
            process.spawn(async move { set_up.serve(&obedient).await })
        };
        let server = server.await.unwrap();
        let replies = call(server.channel().await, RPC, request("later wait")).await;
        obedient.waits().await;
        process.shutdown_background();
        assert_ended_with(&telemetry, "CANCELLED").await;
        let (_, status) = read_to_end(replies).await;
        assert_ne!(status.code(), Code::Ok);
    }
}

/// The server closes its side when it has waited long enough, whatever runs there.
#[tokio::test]
async fn that_is_too_old() {
    let telemetry = Telemetry::start();
    let obedient = Obedient::default();
    let server = Server::builder()
        .max_connection_age(std::time::Duration::from_millis(200))
        .max_connection_age_grace(std::time::Duration::from_millis(200))
        .layer(ServerLayer::new().known_methods(RPCS));
    let server = serve_with(server, Plain::routes(&obedient)).await;
    let replies = call(server.channel().await, RPC, request("later wait")).await;
    assert_ended_with(&telemetry, "CANCELLED").await;
    let (_, status) = read_to_end(replies).await;
    assert_ne!(status.code(), Code::Ok);
}
