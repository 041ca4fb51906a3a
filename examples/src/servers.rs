//! Services behind sockets of their own.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use otel_runtime::{ServerLayer, TracedChannel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{self, Endpoint, Server};

use crate::geocoder::geocoder_server::GeocoderServer;
use crate::routeguide::route_guide_server::RouteGuideServer;
use crate::services::{Guide, PlaceNames};

/// The route guide and the geocoder, running in this process.
#[derive(Debug)]
pub struct Servers {
    route_guide: Running,
    geocoder: Running,
}

impl Servers {
    /// Starts both on free ports of the loopback interface.
    ///
    /// # Errors
    ///
    /// When there is no port to be had.
    pub async fn start() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let geocoder = Running::start(Routes::new(GeocoderServer::new(PlaceNames)))?;
        let endpoint = Endpoint::from_shared(format!("http://{}", geocoder.address))?;
        let guide = Guide::new(TracedChannel::connect(endpoint).await?);
        let route_guide = Running::start(Routes::new(RouteGuideServer::new(guide)))?;
        Ok(Servers { route_guide, geocoder })
    }

    /// Returns the address of the route guide.
    #[must_use]
    pub fn route_guide(&self) -> SocketAddr {
        self.route_guide.address
    }

    /// Returns the address of the geocoder.
    #[must_use]
    pub fn geocoder(&self) -> SocketAddr {
        self.geocoder.address
    }

    /// Lets the RPCs that are being handled come to their end, and stops.
    ///
    /// # Errors
    ///
    /// When one of the servers has failed.
    pub async fn stop(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        // The route guide first: until it is gone, it may call the geocoder.
        self.route_guide.stop().await?;
        self.geocoder.stop().await
    }
}

/// A server in a task of its own, with a [`ServerLayer`].
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), transport::Error>>,
}

impl Running {
    /// Serves on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When there is no port to be had.
    pub fn start(services: Routes) -> io::Result<Self> {
        // Without Nagle's algorithm, which holds small messages back for up to 40 ms.
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into())?.with_nodelay(Some(true));
        let address = incoming.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Server::builder().layer(ServerLayer::new()).add_routes(services);
        let server = tokio::spawn(router.serve_with_incoming_shutdown(incoming, async {
            // Stopped, or dropped: the end either way.
            let _ = stopped.await;
        }));
        Ok(Running { address, stop, server })
    }

    /// Returns the address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the RPCs that are being handled come to their end, and stops.
    ///
    /// # Errors
    ///
    /// When the server has failed.
    pub async fn stop(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        drop(self.stop);
        Ok(self.server.await??)
    }
}
