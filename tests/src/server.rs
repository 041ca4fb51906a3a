//! A tonic server on a loopback socket.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry::global;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::metadata::{Ascii, MetadataKey};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Status};

/// How long a test waits for what must come. Long, since it only counts where a test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Running {
    /// A connection to it.
    pub async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }
}

/// Serves on a free port of the loopback interface.
pub async fn serve(routes: Routes) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder().add_routes(routes);
    tokio::spawn(
        server.serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async {
            let _ = stopped.await;
        }),
    );
    Running { address, _stop: stop }
}

/// An interceptor that sends the current context along.
///
/// # Errors
///
/// None; that is what an interceptor returns.
#[allow(clippy::result_large_err)]
pub fn inject_current_context(mut request: Request<()>) -> Result<Request<()>, Status> {
    let mut carrier = HashMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject(&mut carrier));
    for (key, value) in carrier {
        let key: MetadataKey<Ascii> = key.parse().expect("propagators name headers");
        request
            .metadata_mut()
            .insert(key, value.parse().expect("propagators write ASCII"));
    }
    Ok(request)
}
