//! RPCs that fail without a response of the service.
//!
//! `error.type` is the transport error, and `rpc.status_code` is the code that the caller gets.

use std::net::SocketAddr;
use std::time::Duration;

use integration_tests::client::{Kind, call, client_attributes, code_name, endpoint, open, read};
use integration_tests::free_address::free_address;
use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{RunningServer, serve};
use integration_tests::telemetry::{Shared, Telemetry, attributes, expected};
use opentelemetry::trace::Status as SpanStatus;
use otel_runtime::{ClientLayer, TracedChannel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http;
use tonic::service::Routes;
use tonic::transport::{ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status};
use tower::Layer;

fn lazy(address: SocketAddr) -> TracedChannel {
    TracedChannel::connect_lazy(&endpoint(address))
}

/// Asserts that the span and the duration have the caller's status code and this `error.type`.
async fn assert_tells(telemetry: &Telemetry, server: SocketAddr, kind: Kind, status: &Status, error: &str) {
    let span = telemetry.span().await;
    let expected = client_attributes(kind.method(), server, code_name(status.code()), Some(error));
    assert_eq!(attributes(&span.attributes), expected, "{status:?}");
    let SpanStatus::Error { description } = span.status else {
        panic!("{:?}", span.status)
    };
    // An HTTP/2 reason may follow.
    assert!(description.starts_with(status.message()), "{description}");
    let metrics = telemetry.metrics();
    let durations = metrics.client_durations();
    assert!(
        matches!(&durations[..], [(point, 1, _)] if *point == expected),
        "{durations:?}"
    );
    assert_eq!(metrics.client_active_request_count(), 0);
}

mod no_connection {
    use super::*;

    #[tokio::test]
    async fn connection_refused() {
        for kind in Kind::ALL {
            let telemetry = Telemetry::start();
            let server = free_address();
            let status = call(lazy(server), kind, Request::new("")).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable);
            assert_tells(&telemetry, server, kind, &status, "connection_refused").await;
        }
    }

    #[tokio::test]
    async fn missing_unix_socket() {
        let telemetry = Telemetry::start();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nobody.sock").to_str().unwrap().to_owned();
        let target = format!("unix://{path}");
        let channel = Endpoint::from_shared(target.clone()).unwrap().connect_lazy();
        let channel = ClientLayer::new(&target).layer(channel);
        let status = call(channel, Kind::Unary, Request::new("")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            attributes(&telemetry.span().await.attributes),
            expected([
                ("rpc.system.name", "grpc"),
                ("rpc.method", "kinds.Unary/Call"),
                ("rpc.status_code", "UNAVAILABLE"),
                ("error.type", "not_found"),
                ("server.address", &path),
            ])
        );
    }

    #[tokio::test]
    async fn peer_without_tls() {
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).unwrap();
        let endpoint = endpoint.tls_config(ClientTlsConfig::new().domain_name("greeter.example"));
        let channel = TracedChannel::connect_lazy(&endpoint.unwrap());
        let status = call(channel, Kind::Unary, Request::new("")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_tells(&telemetry, server.address, Kind::Unary, &status, "invalid_data").await;
    }
}

/// The behavior of a peer after it has received a request.
#[derive(Clone, Copy)]
enum Peer {
    Resets,
    Closes,
    Says(&'static str),
}

/// Closes a socket so that the operating system resets the connection.
#[allow(deprecated, reason = "it does not wait for anything")]
fn reset_when_closed(socket: &TcpStream) {
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Reads HTTP/2 frames until the end of a stream.
async fn read_request(socket: &mut TcpStream) {
    const DATA: u8 = 0;
    const END_STREAM: u8 = 1;
    let mut preface = [0; 24];
    socket.read_exact(&mut preface).await.unwrap();
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        socket.read_exact(&mut payload).await.unwrap();
        if head[3] == DATA && head[4] & END_STREAM != 0 {
            return;
        }
    }
}

impl Peer {
    async fn listen(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            match self {
                Peer::Resets => {
                    read_request(&mut socket).await;
                    reset_when_closed(&socket);
                }
                Peer::Closes => read_request(&mut socket).await,
                Peer::Says(words) => {
                    read_request(&mut socket).await;
                    socket.write_all(words.as_bytes()).await.unwrap();
                    // Never answer: wait until the client disconnects.
                    let _ = socket.read_to_end(&mut Vec::new()).await;
                }
            }
        });
        address
    }
}

mod no_response {
    use super::*;

    async fn from(peer: Peer, code: Code, error: &str) {
        for kind in Kind::ALL {
            let telemetry = Telemetry::start();
            let server = peer.listen().await;
            let status = call(lazy(server), kind, Request::new("")).await.unwrap_err();
            assert_eq!(status.code(), code);
            assert_tells(&telemetry, server, kind, &status, error).await;
        }
    }

    #[tokio::test]
    async fn connection_reset() {
        from(Peer::Resets, Code::Unknown, "connection_reset").await;
    }

    #[tokio::test]
    async fn connection_closed() {
        from(Peer::Closes, Code::Unknown, "connection_reset").await;
    }

    #[tokio::test]
    async fn peer_without_http2() {
        for words in [
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            "SSH-2.0-OpenSSH_9.6\r\n",
        ] {
            from(Peer::Says(words), Code::Internal, "INTERNAL").await;
        }
    }

    #[tokio::test]
    async fn stream_reset_by_a_panic() {
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let status = call(lazy(server.address), Kind::Unary, Request::new("panic"))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Cancelled);
        assert_tells(&telemetry, server.address, Kind::Unary, &status, "CANCELLED").await;
    }

    #[tokio::test]
    async fn channel_timeout() {
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let endpoint = endpoint(server.address).timeout(Duration::from_millis(20));
        let channel = TracedChannel::connect_lazy(&endpoint);
        let status = call(channel, Kind::Unary, Request::new("wait")).await.unwrap_err();
        // tonic reports its own timeout as `CANCELLED`, not as `DEADLINE_EXCEEDED`.
        assert_eq!(status.code(), Code::Cancelled);
        let span = telemetry.span().await;
        let code = "DEADLINE_EXCEEDED";
        let expected = client_attributes("kinds.Unary/Call", server.address, code, Some(code));
        assert_eq!(attributes(&span.attributes), expected);
        assert_eq!(span.status, SpanStatus::error("Timeout expired"));
    }
}

/// Starts a TCP proxy before the server, which resets the connection to the client on request.
async fn between(server: SocketAddr) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reset, told) = oneshot::channel();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(server).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
            _ = told => reset_when_closed(&client),
        }
    });
    (address, reset)
}

/// A service that replies with the messages that the test sends it.
struct Scripted(Shared<Option<mpsc::Receiver<Result<Message, Status>>>>);

#[tonic::async_trait]
impl ServerStream for Scripted {
    type CallStream = ReceiverStream<Result<Message, Status>>;

    async fn call(&self, _: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let lines = self.0.lock().unwrap().take();
        let lines = lines.ok_or_else(|| Status::resource_exhausted("the script has been read"))?;
        Ok(Response::new(ReceiverStream::new(lines)))
    }
}

mod partial_response {
    use super::*;

    /// Starts an RPC, and reads the only message that arrives.
    async fn half(server: SocketAddr, kind: Kind) -> tonic::Streaming<Message> {
        let mut replies = open(lazy(server), kind, Request::new("later wait")).await.unwrap();
        replies.message().await.unwrap().unwrap();
        replies
    }

    #[tokio::test]
    async fn connection_reset() {
        for kind in [Kind::ServerStream, Kind::Bidi] {
            let telemetry = Telemetry::start();
            let server = serve(ScriptedService::default().routes()).await;
            let (address, reset) = between(server.address).await;
            let mut replies = half(address, kind).await;
            reset.send(()).unwrap();
            let status = read(&mut replies).await.unwrap_err();
            assert_eq!(status.code(), Code::Unknown);
            assert_tells(&telemetry, address, kind, &status, "connection_reset").await;
        }
    }

    #[tokio::test]
    async fn server_killed() {
        let telemetry = Telemetry::start();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime
            .spawn(async { serve(ScriptedService::default().routes()).await })
            .await;
        let server: RunningServer = server.unwrap();
        let mut replies = half(server.address, Kind::ServerStream).await;
        runtime.shutdown_background();
        let status = read(&mut replies).await.unwrap_err();
        assert_eq!(status.code(), Code::Unknown);
        assert_tells(
            &telemetry,
            server.address,
            Kind::ServerStream,
            &status,
            "connection_reset",
        )
        .await;
    }

    #[tokio::test]
    async fn graceful_shutdown_completes_the_rpc() {
        let telemetry = Telemetry::start();
        let (script, lines) = mpsc::channel(1);
        let service = Scripted(Shared::new(std::sync::Mutex::new(Some(lines))));
        let server = serve(Routes::new(ServerStreamServer::new(service))).await;
        let address = server.address;
        let channel = lazy(address);
        script.send(Ok(Message::from("one"))).await.unwrap();
        let mut replies = open(channel.clone(), Kind::ServerStream, Request::new(""))
            .await
            .unwrap();
        replies.message().await.unwrap().unwrap();
        drop(server);
        script.send(Ok(Message::from("two"))).await.unwrap();
        drop(script);
        assert_eq!(read(&mut replies).await.unwrap(), 1);
        let span = telemetry.span().await;
        let expected = client_attributes("kinds.ServerStream/Call", address, "OK", None);
        assert_eq!(attributes(&span.attributes), expected);
    }

    #[tokio::test]
    async fn stream_reset_by_a_panic() {
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let mut replies = open(lazy(server.address), Kind::ServerStream, Request::new("later panic"))
            .await
            .unwrap();
        let status = read(&mut replies).await.unwrap_err();
        assert_eq!(status.code(), Code::Cancelled);
        assert_tells(&telemetry, server.address, Kind::ServerStream, &status, "CANCELLED").await;
    }
}

/// Responses of a peer that is not a gRPC server, such as a proxy.
///
/// Both tonic and this crate infer the status code from the HTTP status.
mod not_grpc {
    use super::*;

    async fn of(response: impl Fn() -> http::Response<tonic::body::Body> + Clone + Send + 'static, code: Code) {
        let telemetry = Telemetry::start();
        let peer = tower::service_fn(move |_: http::Request<tonic::body::Body>| {
            let response = response();
            async { Ok::<_, Status>(response) }
        });
        let server = SocketAddr::from(([192, 0, 2, 7], 50051));
        let channel = ClientLayer::new("192.0.2.7:50051").layer(peer);
        let status = call(channel, Kind::Unary, Request::new("")).await.unwrap_err();
        assert_eq!(status.code(), code);
        let span = telemetry.span().await;
        let expected = client_attributes("kinds.Unary/Call", server, code_name(code), Some(code_name(code)));
        assert_eq!(attributes(&span.attributes), expected);
    }

    fn answer(status: u16, body: tonic::body::Body) -> http::Response<tonic::body::Body> {
        http::Response::builder().status(status).body(body).unwrap()
    }

    const INFERRED: [(u16, Code); 10] = [
        (200, Code::Unknown),
        (400, Code::Internal),
        (401, Code::Unauthenticated),
        (403, Code::PermissionDenied),
        (404, Code::Unimplemented),
        (429, Code::Unavailable),
        (500, Code::Unknown),
        (502, Code::Unavailable),
        (503, Code::Unavailable),
        (504, Code::Unavailable),
    ];

    #[tokio::test]
    async fn without_a_body() {
        for (status, code) in INFERRED {
            of(move || answer(status, tonic::body::Body::empty()), code).await;
        }
    }

    #[tokio::test]
    async fn trailers_without_a_status() {
        for (status, code) in INFERRED {
            of(
                move || answer(status, tonic::body::Body::new(Trailers::default())),
                code,
            )
            .await;
        }
    }

    #[tokio::test]
    async fn invalid_status() {
        let response = || {
            let mut response = answer(200, tonic::body::Body::empty());
            response
                .headers_mut()
                .insert("grpc-status", "ninety-nine".parse().unwrap());
            response
        };
        of(response, Code::Unknown).await;
    }

    /// A body of nothing but empty trailers.
    #[derive(Default)]
    struct Trailers(bool);

    impl tonic::codegen::Body for Trailers {
        type Data = tonic::codegen::Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Status>>> {
            let over = std::mem::replace(&mut self.0, true);
            std::task::Poll::Ready((!over).then(|| Ok(http_body::Frame::trailers(http::HeaderMap::new()))))
        }
    }
}
