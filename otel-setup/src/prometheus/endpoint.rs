//! The listener of the scrape endpoint.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::env::Env;
use crate::error::InitError;
use crate::export_runtime::ExportRuntime;
use crate::prometheus::connections::accept;
use crate::prometheus::scraper::Scraper;

const HOST_VARIABLE: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
const PORT_VARIABLE: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

/// A scrape endpoint that listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// Whether the system has chosen the port.
    pub(crate) chose_port: bool,
    _server: ExportRuntime,
}

impl Endpoint {
    /// Starts the server on a separate thread, so that scrapes do not wait for exports.
    pub(crate) fn serve(scraper: Arc<Scraper>, listener: TcpListener, chose_port: bool) -> Result<Self, InitError> {
        let started = || -> io::Result<Self> {
            let address = listener.local_addr()?;
            let server = ExportRuntime::start()?;
            server.enter(|| -> io::Result<()> {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::spawn(accept(listener, scraper));
                Ok(())
            })?;
            Ok(Endpoint {
                address,
                chose_port,
                _server: server,
            })
        };
        started().map_err(|error| InitError::new("cannot serve metrics for Prometheus").with_source(error))
    }
}

/// Binds the address of the program, or that of the environment. Returns whether the system chooses
/// the port.
pub(crate) fn listener(explicit: Option<SocketAddr>, env: &Env) -> Result<(TcpListener, bool), InitError> {
    let (listener, port, address) = if let Some(explicit) = explicit {
        (TcpListener::bind(explicit), explicit.port(), explicit.to_string())
    } else {
        let host = env.text(HOST_VARIABLE);
        let host = host.as_deref().unwrap_or("localhost");
        let port = env.number(PORT_VARIABLE, 9464).unwrap_or(9464);
        let address = format!("{HOST_VARIABLE}={host:?}, {PORT_VARIABLE}=\"{port}\"");
        // As in URLs, an IPv6 address may have brackets.
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        (TcpListener::bind((host, port)), port, address)
    };
    let listener = listener.and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok((listener, port == 0))
    });
    listener.map_err(|error| {
        let advice = match (error.kind(), explicit) {
            (io::ErrorKind::AddrInUse, Some(_)) => {
                "; choose another port, or port 0 for any free one, which is logged then"
            }
            (io::ErrorKind::AddrInUse, None) => {
                "; set OTEL_EXPORTER_PROMETHEUS_PORT to another port, or to 0 for any free one, which is logged then"
            }
            _ => "",
        };
        InitError::new(format!("cannot listen for Prometheus at {address}: {error}{advice}")).with_source(error)
    })
}
