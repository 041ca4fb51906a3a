//! A tonic server on a loopback socket.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::body::Body as TonicBody;
use tonic::codegen::{Body, Bytes, Service, StdError, http};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tower_layer::Layer;

/// The longest that a test waits. Only failing tests wait this long.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct RunningServer {
    /// The address that the server listens on.
    pub address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl RunningServer {
    /// Connects to the server.
    pub async fn channel(&self) -> Channel {
        channel_to(self.address).await
    }
}

/// Connects to the server at `address`, which may be in another process.
pub async fn channel_to(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

/// Serves on a free port of the loopback interface.
pub async fn serve(routes: Routes) -> RunningServer {
    serve_with(Server::builder(), routes).await
}

/// Like [`serve`], with a configured server, for example with layers.
pub async fn serve_with<L, S, B>(mut server: Server<L>, routes: Routes) -> RunningServer
where
    L: Layer<Routes, Service = S> + Clone + Send + 'static,
    S: Service<http::Request<TonicBody>, Response = http::Response<B>, Error: Into<StdError> + Send, Future: Send>,
    S: Clone + Send + 'static,
    B: Body<Data = Bytes, Error: Into<StdError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = server.add_routes(routes);
    tokio::spawn(
        server.serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async {
            let _ = stopped.await;
        }),
    );
    RunningServer { address, _stop: stop }
}
