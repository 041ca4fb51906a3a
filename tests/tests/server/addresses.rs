//! Address attributes of a server span: `server.*` from the authority, `client.*` from the socket.

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Attributes, Telemetry, attributes};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::traced_service;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};

struct Echo;

#[traced_service]
#[tonic::async_trait]
impl Unary for Echo {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// Returns the address attributes of a span.
fn addresses(span: &SpanData) -> Attributes {
    let mut found = attributes(&span.attributes);
    found.retain(|key, _| key.starts_with("server.") || key.starts_with("network."));
    found
}

#[tokio::test]
async fn server_address_is_the_authority() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(Echo))).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    for origin in [
        "http://greeter.example:8443",
        "http://greeter.example",
        "http://[2001:db8::1]:50051",
    ] {
        let channel = endpoint
            .clone()
            .origin(origin.parse().unwrap())
            .connect()
            .await
            .unwrap();
        UnaryClient::new(channel).call(Message::from("")).await.unwrap();
    }

    let spans = telemetry.spans(3).await;
    let servers = spans.iter().map(|span| {
        let mut found = addresses(span);
        assert_eq!(found["network.peer.address"], "127.0.0.1");
        (found.remove("server.address").unwrap(), found.remove("server.port"))
    });
    let pair = |address: &str, port: Option<&str>| (address.to_owned(), port.map(ToOwned::to_owned));
    assert_eq!(
        servers.collect::<Vec<_>>(),
        [
            pair("greeter.example", Some("8443")),
            pair("greeter.example", None),
            pair("2001:db8::1", Some("50051"))
        ]
    );
}

#[cfg(unix)]
mod over_a_unix_socket {
    use hyper_util::rt::TokioIo;
    use integration_tests::telemetry::expected;
    use tokio::net::{UnixListener, UnixSocket};
    use tokio_stream::wrappers::UnixListenerStream;
    use tonic::transport::{Server, Uri};

    use super::*;

    async fn call_from(client: Option<&'static str>) -> Attributes {
        let telemetry = Telemetry::start();
        let directory = tempfile::tempdir().unwrap();
        let server = directory.path().join("server.sock");
        let listener = UnixListener::bind(&server).unwrap();
        let incoming = UnixListenerStream::new(listener);
        tokio::spawn(
            Server::builder()
                .add_service(UnaryServer::new(Echo))
                .serve_with_incoming(incoming),
        );

        let name = client.map(|name| directory.path().join(name));
        let connect = tower::service_fn({
            let name = name.clone();
            move |_: Uri| {
                let (server, name) = (server.clone(), name.clone());
                async move {
                    let socket = UnixSocket::new_stream()?;
                    if let Some(name) = name {
                        socket.bind(name)?;
                    }
                    Ok::<_, std::io::Error>(TokioIo::new(socket.connect(server).await?))
                }
            }
        });
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connect)
            .await
            .unwrap();
        UnaryClient::new(channel).call(Message::from("")).await.unwrap();
        let mut found = addresses(&telemetry.span().await);
        if let (Some(name), Some(peer)) = (name, found.get_mut("network.peer.address")) {
            assert_eq!(*peer, name.to_str().unwrap());
            "the client's path".clone_into(peer);
        }
        found
    }

    #[tokio::test]
    async fn client_address_is_the_socket_path_if_there_is_one() {
        assert_eq!(call_from(None).await, expected([("server.address", "localhost")]));
        assert_eq!(
            call_from(Some("client.sock")).await,
            expected([
                ("server.address", "localhost"),
                ("network.peer.address", "the client's path")
            ])
        );
    }
}

mod over_tls {
    use tonic::transport::server::TcpIncoming;
    use tonic::transport::{Certificate, ClientTlsConfig, Identity, Server, ServerTlsConfig};

    use super::*;

    #[tokio::test]
    async fn client_address_is_that_of_the_tcp_socket() {
        let telemetry = Telemetry::start();
        let own = rcgen::generate_simple_self_signed(["greeter.example".to_owned()]).unwrap();
        let certificate = own.cert.pem();
        let identity = Identity::from_pem(&certificate, own.signing_key.serialize_pem());
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = incoming.local_addr().unwrap().port();
        let tls = ServerTlsConfig::new().identity(identity);
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(UnaryServer::new(Echo));
        tokio::spawn(server.serve_with_incoming(incoming));

        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(certificate))
            .domain_name("greeter.example");
        let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}"))
            .unwrap()
            .tls_config(tls)
            .unwrap();
        UnaryClient::new(endpoint.connect().await.unwrap())
            .call(Message::from(""))
            .await
            .unwrap();

        let found = addresses(&telemetry.span().await);
        assert_eq!(found["server.address"], "127.0.0.1");
        assert_eq!(found["server.port"], port.to_string());
        assert_eq!(found["network.peer.address"], "127.0.0.1");
        let peer: u16 = found["network.peer.port"].parse().unwrap();
        assert!(peer != 0 && peer != port);
    }
}
