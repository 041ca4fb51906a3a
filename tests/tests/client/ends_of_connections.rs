//! A client's RPC whose server ends the connection: `error.type` is one for one event, and the
//! description has the HTTP/2 reason.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use integration_tests::client::{Kind, call, code_name, endpoint};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{TIMEOUT, serve};
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use otel_runtime::TracedChannel;
use tokio::net::TcpListener;
use tonic::Request;
use tonic::codegen::http;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    GoAway(h2::Reason),
    Reset(h2::Reason),
    /// Nothing comes back any more, not even an answer to a keepalive.
    Silence,
}

/// A server that ends an RPC so, before its response or behind a message.
async fn server(end: End, is_answered: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut body = None;
        if is_answered {
            let response = http::Response::builder().header("content-type", "application/grpc");
            let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
            body = Some(stream);
            // Lets the connection write it.
            let write = std::future::poll_fn(|cx| connection.poll_closed(cx));
            let _ = tokio::time::timeout(Duration::from_millis(50), write).await;
        }
        match end {
            End::GoAway(reason) => connection.abrupt_shutdown(reason),
            End::Reset(reason) => match &mut body {
                Some(body) => body.send_reset(reason),
                None => respond.send_reset(reason),
            },
            End::Silence => std::future::pending().await,
        }
        while connection.accept().await.is_some() {}
    });
    address
}

#[tokio::test]
async fn has_timed_out_if_a_keepalive_has() {
    // Behind its headers, h2 keeps no more than that the connection is gone.
    for (is_answered, error) in [(false, "timed_out"), (true, "connection_reset")] {
        let telemetry = Telemetry::start();
        let endpoint = endpoint(server(End::Silence, is_answered).await)
            .http2_keep_alive_interval(Duration::from_millis(200))
            .keep_alive_while_idle(true)
            .keep_alive_timeout(Duration::from_millis(200));
        let channel = TracedChannel::connect(endpoint).await.unwrap();
        let end = tokio::time::timeout(TIMEOUT, call(channel, Kind::ServerStream, Request::new("")));
        end.await.unwrap().unwrap_err();
        let found = attributes(&telemetry.span().await.attributes);
        assert_eq!(found["error.type"], error, "{is_answered}");
    }
}

#[tokio::test]
async fn has_one_error_type_and_its_reason() {
    for (end, frame, reason) in [
        (
            End::GoAway(h2::Reason::ENHANCE_YOUR_CALM),
            "GOAWAY",
            "ENHANCE_YOUR_CALM",
        ),
        (End::GoAway(h2::Reason::INTERNAL_ERROR), "GOAWAY", "INTERNAL_ERROR"),
        (
            End::Reset(h2::Reason::ENHANCE_YOUR_CALM),
            "RST_STREAM",
            "ENHANCE_YOUR_CALM",
        ),
        (End::Reset(h2::Reason::REFUSED_STREAM), "RST_STREAM", "REFUSED_STREAM"),
    ] {
        let mut errors = Vec::new();
        for is_answered in [false, true] {
            let telemetry = Telemetry::start();
            let address = server(end, is_answered).await;
            let channel = TracedChannel::connect(endpoint(address)).await.unwrap();
            let status = call(channel, Kind::ServerStream, Request::new("")).await.unwrap_err();
            let span = telemetry.span().await;
            let error = attributes(&span.attributes)["error.type"].clone();
            let SpanStatus::Error { description } = span.status else {
                panic!("{end:?}")
            };
            println!("{end:?} {is_answered}: {error} {description} {status:?}");
            // h2 keeps no more of a GOAWAY than that the connection is gone.
            let has_reason = description.contains(reason) && description.contains(frame);
            assert!(
                has_reason || matches!(end, End::GoAway(_)),
                "{end:?}, {is_answered}: {description}"
            );
            errors.push(error);
        }
        assert_eq!(errors[0], errors[1], "{end:?}");
    }
}

/// The task that drives the connection went away with its runtime.
#[tokio::test]
async fn is_recorded_if_the_task_of_the_connection_is_gone() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let gone = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let address = server.address;
    let connecting = gone.spawn(async move { TracedChannel::connect(endpoint(address)).await.unwrap() });
    let channel = connecting.await.unwrap();
    let shutdown = tokio::task::spawn_blocking(move || gone.shutdown_timeout(TIMEOUT));
    shutdown.await.unwrap();
    let calling = tokio::time::timeout(TIMEOUT, call(channel, Kind::Unary, Request::new("")));
    let status = calling.await.unwrap().unwrap_err();
    let span = telemetry.span().await;
    assert_eq!((&*span.name, &span.span_kind), ("kinds.Unary/Call", &SpanKind::Client));
    let found = attributes(&span.attributes);
    assert_eq!(found["rpc.status_code"], code_name(status.code()));
    assert!(found.contains_key("error.type"));
    let metrics = telemetry.metrics();
    assert!(matches!(metrics.client_durations()[..], [(_, 1, _)]));
    assert_eq!(metrics.client_active_request_count(), 0);
}
