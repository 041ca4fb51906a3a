//! A server's RPC whose caller leaves before it is answered is the caller's end, whatever tonic or
//! the handler made of it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::body::Bytes;
use integration_tests::client::Kind;
use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_server::{Bidi, BidiServer};
use integration_tests::kinds::client_stream_server::{ClientStream, ClientStreamServer};
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::Status as SpanStatus;
use otel_runtime::{ServerLayer, traced_service};
use tokio::net::TcpStream;
use tonic::codegen::http;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tonic_web::GrpcWebLayer;

type Messages = tokio_stream::Once<Result<Message, Status>>;

/// Reads all, and succeeds: `None` is an end to it, whatever it is on the wire.
async fn count(mut messages: Streaming<Message>) -> Result<Message, Status> {
    let mut count = 0;
    while messages.message().await?.is_some() {
        count += 1;
    }
    Ok(Message::from(&*count.to_string()))
}

/// Counts in a task of its own.
async fn count_elsewhere(messages: Streaming<Message>) -> Result<Message, Status> {
    tokio::spawn(count(messages)).await.unwrap()
}

macro_rules! services {
    ($name:ident, $(#[$attribute:meta])*) => {
        #[derive(Clone, Default)]
        struct $name {
            /// Blocks a unary RPC.
            block: Option<Arc<Block>>,
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl Unary for $name {
            async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                if let Some(block) = &self.block {
                    // Whatever else this thread has to do goes to another one meanwhile.
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                    block.wait();
                }
                Ok(Response::new(request.into_inner()))
            }
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl ServerStream for $name {
            type CallStream = Messages;

            async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
                Ok(Response::new(tokio_stream::once(Ok(request.into_inner()))))
            }
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl ClientStream for $name {
            async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
                Ok(Response::new(count(request.into_inner()).await?))
            }
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl Bidi for $name {
            type CallStream = Messages;

            async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
                let counted = count_elsewhere(request.into_inner()).await?;
                Ok(Response::new(tokio_stream::once(Ok(counted))))
            }
        }

        impl $name {
            fn routes(self) -> Routes {
                Routes::new(UnaryServer::new(self.clone()))
                    .add_service(ServerStreamServer::new(self.clone()))
                    .add_service(ClientStreamServer::new(self.clone()))
                    .add_service(BidiServer::new(self))
            }
        }
    };
}

services!(Plain,);
services!(Annotated, #[traced_service]);

/// A handler that blocks its thread.
struct Block {
    entered: tokio::sync::Notify,
    left: Mutex<mpsc::Receiver<()>>,
}

impl Block {
    fn wait(&self) {
        self.entered.notify_one();
        let left = self.left.lock().unwrap();
        left.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}

fn layer() -> ServerLayer {
    ServerLayer::new().known_methods(Kind::ALL.map(Kind::method))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetUp {
    Layer,
    Both,
}

impl SetUp {
    const ALL: [SetUp; 2] = [SetUp::Layer, SetUp::Both];

    async fn serve(self, block: Option<Arc<Block>>) -> RunningServer {
        let routes = match self {
            SetUp::Layer => Plain { block }.routes(),
            SetUp::Both => Annotated { block }.routes(),
        };
        serve_with(Server::builder().layer(layer()), routes).await
    }
}

/// How far a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Headers,
    HalfAMessage,
    AMessage,
}

impl Sent {
    const ALL: [Sent; 3] = [Sent::Headers, Sent::HalfAMessage, Sent::AMessage];

    fn bytes(self) -> &'static [u8] {
        match self {
            Sent::Headers => b"",
            Sent::HalfAMessage => b"\0\0\0\0\x03\x0a",
            Sent::AMessage => b"\0\0\0\0\x03\x0a\x01a",
        }
    }
}

/// How its caller leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    Resets(h2::Reason),
    Closes,
    Breaks,
}

impl Leaves {
    const ALL: [Leaves; 5] = [
        Leaves::Resets(h2::Reason::CANCEL),
        Leaves::Resets(h2::Reason::INTERNAL_ERROR),
        Leaves::Resets(h2::Reason::REFUSED_STREAM),
        Leaves::Closes,
        Leaves::Breaks,
    ];
}

fn request(rpc: &str, address: SocketAddr, deadline: Option<&str>) -> http::Request<()> {
    let mut request = http::Request::post(format!("http://{address}/{rpc}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(deadline) = deadline {
        request = request.header("grpc-timeout", deadline);
    }
    request.body(()).unwrap()
}

/// Makes an RPC, and leaves it when the server has begun to serve it.
async fn leave(
    telemetry: &Telemetry,
    server: &RunningServer,
    rpc: &str,
    deadline: Option<&str>,
    sent: Sent,
    leaves: Leaves,
) {
    let socket = TcpStream::connect(server.address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    if leaves == Leaves::Breaks {
        socket.set_zero_linger().unwrap();
    }
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = request(rpc, server.address, deadline);
    let (_response, mut body) = client.send_request(request, false).unwrap();
    if sent != Sent::Headers {
        body.send_data(Bytes::from_static(sent.bytes()), false).unwrap();
    }
    telemetry.spans_started(1).await;
    match leaves {
        Leaves::Resets(reason) => body.send_reset(reason),
        Leaves::Closes | Leaves::Breaks => connection.abort(),
    }
    // Until the server has noticed.
    telemetry.span().await;
}

#[tokio::test]
async fn is_cancelled_if_the_caller_leaves_before_its_request_is_whole() {
    for set_up in SetUp::ALL {
        for kind in Kind::ALL {
            for sent in Sent::ALL {
                for leaves in Leaves::ALL {
                    let what = format!("{set_up:?}, {kind:?}, {sent:?}, {leaves:?}");
                    println!("{what}");
                    let telemetry = Telemetry::start();
                    let server = set_up.serve(None).await;
                    leave(&telemetry, &server, kind.method(), None, sent, leaves).await;
                    let span = telemetry.span().await;
                    assert_eq!(span.name, kind.method(), "{what}");
                    let found = attributes(&span.attributes);
                    assert_eq!(found["rpc.status_code"], "CANCELLED", "{what}: {:?}", span.status);
                    assert_eq!(span.status, SpanStatus::Unset, "{what}");
                    assert_eq!(found.get("error.type"), None, "{what}");
                    let durations = telemetry.durations(1).await;
                    assert_eq!(durations[0]["rpc.status_code"], "CANCELLED", "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn has_missed_its_deadline_if_that_has_passed() {
    for set_up in SetUp::ALL {
        for kind in Kind::ALL {
            let telemetry = Telemetry::start();
            let server = set_up.serve(None).await;
            let cancel = Leaves::Resets(h2::Reason::CANCEL);
            // The deadline has passed when the request arrives.
            leave(
                &telemetry,
                &server,
                kind.method(),
                Some("1n"),
                Sent::HalfAMessage,
                cancel,
            )
            .await;
            let found = attributes(&telemetry.span().await.attributes);
            assert_eq!(found["rpc.status_code"], "DEADLINE_EXCEEDED", "{set_up:?}, {kind:?}");
        }
    }
}

/// A malformed request has an answer, which its caller gets.
#[tokio::test]
async fn is_not_cancelled_if_the_request_ends_by_itself() {
    for set_up in SetUp::ALL {
        for (sent, code) in [
            (Sent::Headers, "INTERNAL"),
            (Sent::HalfAMessage, "INTERNAL"),
            (Sent::AMessage, "OK"),
        ] {
            let telemetry = Telemetry::start();
            let server = set_up.serve(None).await;
            let socket = TcpStream::connect(server.address).await.unwrap();
            let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
            tokio::spawn(connection);
            let request = request("kinds.Unary/Call", server.address, None);
            let (response, mut body) = client.send_request(request, false).unwrap();
            body.send_data(Bytes::from_static(sent.bytes()), true).unwrap();
            let mut response = response.await.unwrap();
            while response.body_mut().data().await.is_some() {}
            let _ = response.body_mut().trailers().await;
            let found = attributes(&telemetry.span().await.attributes);
            assert_eq!(found["rpc.status_code"], code, "{set_up:?}, {sent:?}");
        }
    }
}

/// With tonic-web around the layer, which wraps the error.
#[tokio::test]
async fn is_cancelled_through_grpc_web() {
    use tokio::io::AsyncWriteExt;

    for (content_type, half) in [
        ("application/grpc-web+proto", &b"\0\0\0\0\x03\x0a"[..]),
        ("application/grpc-web-text+proto", b"AAAAAAMK"),
    ] {
        for (body, code) in [(half, "CANCELLED"), (b"!!!!", "INTERNAL")] {
            if body == b"!!!!" && !content_type.contains("text") {
                continue;
            }
            let telemetry = Telemetry::start();
            let server = Server::builder()
                .accept_http1(true)
                .layer(GrpcWebLayer::new())
                .layer(layer());
            let server = serve_with(server, Annotated::default().routes()).await;
            let mut socket = TcpStream::connect(server.address).await.unwrap();
            let head = format!(
                "POST /kinds.Unary/Call HTTP/1.1\r\nhost: greeter.example\r\ncontent-type: {content_type}\r\n\
                 content-length: 100\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(body).await.unwrap();
            telemetry.spans_started(1).await;
            if code == "CANCELLED" {
                drop(socket);
            }
            let span = telemetry.span().await;
            let found = attributes(&span.attributes);
            assert_eq!(found["rpc.status_code"], code, "{content_type}: {:?}", span.status);
        }
    }
}

/// Returns `Ok` when its caller has left.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn is_the_callers_end_if_a_blocking_handler_replies_to_nobody() {
    for set_up in SetUp::ALL {
        for (deadline, code) in [(None, "CANCELLED"), (Some("30m"), "DEADLINE_EXCEEDED")] {
            let telemetry = Telemetry::start();
            let (release, left) = mpsc::channel();
            let block = Arc::new(Block {
                entered: tokio::sync::Notify::new(),
                left: Mutex::new(left),
            });
            let server = set_up.serve(Some(Arc::clone(&block))).await;
            let socket = TcpStream::connect(server.address).await.unwrap();
            let (mut client, mut connection) = h2::client::handshake(socket).await.unwrap();
            let mut pings = connection.ping_pong().unwrap();
            // Polled here and nowhere else: h2 0.4 loses a ping that is sent while another thread
            // polls the connection.
            let mut connection = pin!(connection);
            let request = request("kinds.Unary/Call", server.address, deadline);
            let (_response, mut body) = client.send_request(request, false).unwrap();
            body.send_data(Bytes::from_static(Sent::AMessage.bytes()), true)
                .unwrap();
            let entered = async {
                block.entered.notified().await;
                // Until the deadline has passed.
                if deadline.is_some() {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                }
            };
            tokio::select! {
                end = &mut connection => panic!("{end:?}"),
                () = entered => {}
            }
            body.send_reset(h2::Reason::CANCEL);
            // The first ping may overtake the reset, and the second one may not.
            for _ in 0..2 {
                pings.send_ping(h2::Ping::opaque()).unwrap();
                tokio::select! {
                    end = &mut connection => panic!("{end:?}"),
                    pong = std::future::poll_fn(|cx| pings.poll_pong(cx)) => drop(pong.unwrap()),
                }
            }
            release.send(()).unwrap();
            let span = telemetry.span().await;
            assert_eq!(attributes(&span.attributes)["rpc.status_code"], code, "{set_up:?}");
        }
    }
}

/// The attribute alone knows the result of the handler, and no more.
#[tokio::test]
async fn is_as_the_handler_says_with_the_attribute_alone() {
    let telemetry = Telemetry::start();
    let server = serve(Annotated::default().routes()).await;
    let cancel = Leaves::Resets(h2::Reason::CANCEL);
    leave(
        &telemetry,
        &server,
        "kinds.ClientStream/Call",
        None,
        Sent::AMessage,
        cancel,
    )
    .await;
    let found = attributes(&telemetry.span().await.attributes);
    assert_eq!(found["rpc.status_code"], "OK");
}
