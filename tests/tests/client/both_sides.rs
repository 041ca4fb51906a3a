//! The ends of RPCs that go wrong, on both sides: the table in
//! `otel-runtime/docs/other_software.md`.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_tests::client::{Kind, call};
use integration_tests::clock::StoppedClock;
use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_client::BidiClient;
use integration_tests::kinds::client_stream_client::ClientStreamClient;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Attributes, Telemetry, attributes};
use opentelemetry::trace::SpanKind;
use otel_runtime::{ClientLayer, ClientService, ServerLayer};
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tonic::{Code, Request, Status};
use tower::{Layer, service_fn};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetUp {
    Attribute,
    Layer,
    Both,
}

impl SetUp {
    const ALL: [SetUp; 3] = [SetUp::Attribute, SetUp::Layer, SetUp::Both];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The caller drops the call.
    Reset,
    /// The caller's connection closes.
    ClosedConnection,
    /// The caller's deadline passes.
    Deadline,
    /// Something before the service answers with a page of HTML, and 502.
    ErrorPage,
    /// The caller's codec refuses the reply, as too large.
    RefusedReply,
}

impl Fault {
    const ALL: [Fault; 5] = [
        Fault::Reset,
        Fault::ClosedConnection,
        Fault::Deadline,
        Fault::ErrorPage,
        Fault::RefusedReply,
    ];

    /// Returns the codes of the client and of the server, whatever the kind of RPC.
    fn codes(self, set_up: SetUp) -> (&'static str, Option<&'static str>) {
        match self {
            Fault::Reset => ("CANCELLED", Some("CANCELLED")),
            Fault::ClosedConnection => ("UNKNOWN", Some("CANCELLED")),
            Fault::Deadline => ("DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED")),
            // No handler gets it.
            Fault::ErrorPage => ("UNAVAILABLE", (set_up != SetUp::Attribute).then_some("UNAVAILABLE")),
            Fault::RefusedReply => ("OUT_OF_RANGE", Some("OK")),
        }
    }
}

async fn start(set_up: SetUp, fault: Fault, service: &ScriptedService) -> RunningServer {
    let page = || async {
        (
            axum::http::StatusCode::BAD_GATEWAY,
            axum::response::Html("<html>sorry</html>"),
        )
    };
    let routes = match (fault, set_up) {
        (Fault::ErrorPage, _) => Routes::from(axum::Router::new().fallback(page)),
        (_, SetUp::Layer) => Plain::routes(service),
        (_, SetUp::Attribute | SetUp::Both) => Annotated::routes(service),
    };
    if set_up == SetUp::Attribute {
        serve(routes).await
    } else {
        let layer = ServerLayer::new().known_methods(Kind::ALL.map(Kind::method));
        serve_with(Server::builder().layer(layer), routes).await
    }
}

/// The socket of a connection, through which the test closes it.
type Socket = Arc<Mutex<Option<TcpStream>>>;

/// Connects beforehand: the time that it takes is part of the client's deadline, and the server
/// does not see it.
async fn connect(address: SocketAddr, slot: &Socket) -> ClientService<Channel> {
    let slot = Arc::clone(slot);
    let connector = service_fn(move |_: Uri| {
        let slot = Arc::clone(&slot);
        async move {
            let socket = TcpStream::connect(address)?;
            socket.set_nonblocking(true)?;
            *slot.lock().unwrap() = Some(socket.try_clone()?);
            let socket = tokio::net::TcpStream::from_std(socket)?;
            Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(socket))
        }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    ClientLayer::new("here").layer(endpoint.connect_with_connector(connector).await.unwrap())
}

/// Makes an RPC that goes wrong.
async fn make(fault: Fault, kind: Kind, service: &ScriptedService, address: SocketAddr) {
    let socket = Socket::default();
    let channel = connect(address, &socket).await;
    match fault {
        Fault::Reset | Fault::ClosedConnection => {
            let waiting = tokio::spawn(call(channel, kind, Request::new("wait")));
            service.waits().await;
            if fault == Fault::Reset {
                waiting.abort();
            } else {
                let socket = socket.lock().unwrap().take().unwrap();
                socket.shutdown(Shutdown::Both).unwrap();
            }
            assert!(!matches!(waiting.await, Ok(Ok(_))));
        }
        Fault::Deadline => {
            let clock = StoppedClock::stop();
            let mut request = Request::new("wait");
            request.set_timeout(Duration::from_millis(50));
            let mut late = tokio::spawn(call(channel, kind, request));
            clock.until(&mut late, service.waits()).await;
            clock.end(late).await.unwrap().unwrap_err();
        }
        Fault::ErrorPage => {
            call(channel, kind, Request::new("")).await.unwrap_err();
        }
        Fault::RefusedReply => {
            let status = refuse(channel, kind).await.unwrap_err();
            assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
        }
    }
}

/// Gets a reply that is too large. It arrives in two pieces, so that its size comes first.
async fn refuse(channel: ClientService<Channel>, kind: Kind) -> Result<(), Status> {
    const MOST: usize = 1000;

    let message = Message::from(&*"a".repeat(20_000));
    let messages = tokio_stream::once(message.clone());
    let mut replies = match kind {
        Kind::Unary => {
            let mut client = UnaryClient::new(channel).max_decoding_message_size(MOST);
            return client.call(message).await.map(drop);
        }
        Kind::ClientStream => {
            let mut client = ClientStreamClient::new(channel).max_decoding_message_size(MOST);
            return client.call(messages).await.map(drop);
        }
        Kind::ServerStream => {
            let mut client = ServerStreamClient::new(channel).max_decoding_message_size(MOST);
            client.call(message).await?.into_inner()
        }
        Kind::Bidi => {
            let mut client = BidiClient::new(channel).max_decoding_message_size(MOST);
            client.call(messages).await?.into_inner()
        }
    };
    replies.message().await.map(drop)
}

#[tokio::test]
async fn both_sides_record_it_as_the_table_says() {
    for fault in Fault::ALL {
        for set_up in SetUp::ALL {
            for kind in Kind::ALL {
                let what = format!("{fault:?}, {set_up:?}, {kind:?}");
                let telemetry = Telemetry::start();
                let service = ScriptedService::default();
                let server = start(set_up, fault, &service).await;
                make(fault, kind, &service, server.address).await;

                let (client, of_server) = fault.codes(set_up);
                let spans = telemetry.spans(1 + usize::from(of_server.is_some())).await;
                let codes = |kind: SpanKind| {
                    let spans = spans.iter().filter(|span| span.span_kind == kind);
                    spans
                        .map(|span| code(&attributes(&span.attributes)))
                        .collect::<Vec<_>>()
                };
                assert_eq!(codes(SpanKind::Client), [client], "{what}");
                assert_eq!(codes(SpanKind::Server), of_server.as_slice(), "{what}");

                let metrics = telemetry.metrics();
                let clients = metrics.client_durations();
                let clients: Vec<_> = clients.iter().map(|(point, count, _)| (code(point), *count)).collect();
                assert_eq!(clients, [(client.to_owned(), 1)], "{what}");
                let servers = metrics.durations();
                let servers: Vec<_> = servers.iter().map(|(point, count, _)| (code(point), *count)).collect();
                let expected: Vec<_> = of_server.iter().map(|code| ((*code).to_owned(), 1)).collect();
                assert_eq!(servers, expected, "{what}");
                assert_eq!(metrics.client_active_request_count(), 0, "{what}");
            }
        }
    }
}

fn code(attributes: &Attributes) -> String {
    attributes["rpc.status_code"].clone()
}
