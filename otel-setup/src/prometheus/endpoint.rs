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
    let host = host.as_deref().map(str::trim).filter(|host| !host.is_empty());
    let host = host.unwrap_or("localhost");
    // As in URLs, an IPv6 address may have brackets.
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port = env.number(PORT_VARIABLE, &9464).unwrap_or(9464);
    let (setting, port_setting) = names(host, port, env);
    bind(&Address {
        host: bare,
        port,
        setting,
        purpose: "Prometheus",
        port_setting,
    })
}

/// Returns the name of the address, and that of the setting of the port if there is one: variables
/// have no effect beside a configuration file.
fn names(host: &str, port: u16, env: &Env) -> (String, &'static str) {
    if env.setting(PORT_VARIABLE).is_none() {
        return (format!("{host}:{port}"), "");
    }
    let address = format!("{HOST_VARIABLE}={host:?}, {PORT_VARIABLE}=\"{port}\"");
    (address, PORT_VARIABLE)
}

#[cfg(all(test, feature = "config-file"))]
mod tests {
    use super::*;
    use crate::env::EnvPairs;

    #[test]
    fn names_are_those_of_settings_with_an_effect() {
        let variables = format!("{HOST_VARIABLE}=\"h\", {PORT_VARIABLE}=\"1\"");
        assert_eq!(names("h", 1, &Env::from_vars([])), (variables, PORT_VARIABLE));
        let beside_a_file = EnvPairs::default().into_env();
        assert_eq!(names("h", 1, &beside_a_file), ("h:1".to_owned(), ""));
    }
}
