//! The listener of a server.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::error::InitError;
use crate::export_runtime::ExportRuntime;
use crate::http_server::connections::accept;
use crate::http_server::sites::{Site, Sites};

/// A server that listens until its last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// Whether the system has chosen the port.
    pub(crate) chose_port: bool,
    sites: Arc<Sites>,
    server: ExportRuntime,
}

/// An address to listen at, and how to name it in messages.
#[derive(Debug)]
pub(crate) struct Address<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The setting that it comes from, with its value.
    pub(crate) setting: String,
    /// The purpose, as in "listen for Prometheus".
    pub(crate) purpose: &'static str,
    /// The variable or function that sets another port.
    pub(crate) port_setting: &'static str,
}

impl Endpoint {
    /// Starts the server on a separate thread, so that it does not wait for exports.
    pub(crate) fn serve(listener: TcpListener, chose_port: bool) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let sites = Arc::new(Sites::default());
        let server = ExportRuntime::start()?;
        server.enter(|| -> io::Result<()> {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(accept(listener, Arc::clone(&sites)));
            Ok(())
        })?;
        Ok(Endpoint {
            address,
            chose_port,
            sites,
            server,
        })
    }

    pub(crate) fn add(&self, site: Arc<dyn Site>) {
        self.sites.add(site);
    }

    /// Runs a task on the thread of the server, until it ends.
    #[cfg_attr(not(feature = "zpages"), allow(dead_code))]
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.server.enter(|| drop(tokio::spawn(task)));
    }
}

/// Binds an address. Returns whether the system chooses the port.
pub(crate) fn bind(address: &Address<'_>) -> Result<(TcpListener, bool), InitError> {
    let listener = TcpListener::bind((address.host, address.port)).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok((listener, address.port == 0))
    });
    listener.map_err(|error| {
        let Address {
            setting,
            purpose,
            port_setting,
            ..
        } = address;
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse if port_setting.is_empty() => {
                "; choose another port, or port 0 for any free one, which is logged then".to_owned()
            }
            io::ErrorKind::AddrInUse => {
                format!("; set {port_setting} to another port, or to 0 for any free one, which is logged then")
            }
            _ => String::new(),
        };
        InitError::new(format!("cannot listen for {purpose} at {setting}: {error}{advice}")).with_source(error)
    })
}
