//! Servers on loopback sockets.

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
    /// Returns an error if no port is free.
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

    /// Stops both servers, once the RPCs in progress have ended.
    ///
    /// # Errors
    ///
    /// Returns an error if one of the servers has failed.
    pub async fn stop(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        // The route guide stops first, because it calls the geocoder.
        self.route_guide.stop().await?;
        self.geocoder.stop().await
    }
}

/// A server with a [`ServerLayer`], in a task of its own.
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
    /// Returns an error if no port is free.
    pub fn start(services: Routes) -> io::Result<Self> {
        Running::start_with(ServerLayer::new(), services)
    }

    /// Like [`start`](Self::start), with a layer that has options.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is free.
    pub fn start_with(layer: ServerLayer, services: Routes) -> io::Result<Self> {
        // Disables Nagle's algorithm, which delays small messages by up to 40 ms.
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into())?.with_nodelay(Some(true));
        let address = incoming.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Server::builder().layer(layer).add_routes(services);
        let server = tokio::spawn(router.serve_with_incoming_shutdown(incoming, async {
            // An error means that the sender was dropped, which also stops the server.
            let _ = stopped.await;
        }));
        Ok(Running { address, stop, server })
    }

    /// Returns the address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server, once the RPCs in progress have ended.
    ///
    /// # Errors
    ///
    /// Returns an error if the server has failed.
    pub async fn stop(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        drop(self.stop);
        Ok(self.server.await??)
    }
}
