//! The address of the scrape endpoint.

use std::net::{SocketAddr, TcpListener};

use crate::env::Env;
use crate::error::InitError;
use crate::http_server::{Address, bind};

const HOST_VARIABLE: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
const PORT_VARIABLE: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

/// Binds the address of the program, or that of the environment. Returns whether the system chooses
/// the port.
pub(crate) fn listener(explicit: Option<SocketAddr>, env: &Env) -> Result<(TcpListener, bool), InitError> {
    if let Some(explicit) = explicit {
        return bind(&Address {
            host: &explicit.ip().to_string(),
            port: explicit.port(),
            setting: explicit.to_string(),
            purpose: "Prometheus",
            port_setting: "",
        });
    }
    let host = env.text(HOST_VARIABLE);
    let host = host.as_deref().unwrap_or("localhost");
    // As in URLs, an IPv6 address may have brackets.
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port = env.number(PORT_VARIABLE, 9464).unwrap_or(9464);
    bind(&Address {
        host: bare,
        port,
        setting: format!("{HOST_VARIABLE}={host:?}, {PORT_VARIABLE}=\"{port}\""),
        purpose: "Prometheus",
        port_setting: PORT_VARIABLE,
    })
}
