//! The settings of the pages.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::env::Env;
use crate::error::InitError;
use crate::zpages::budget::DEFAULT_LIMIT;

pub(super) const ADDRESS_VARIABLE: &str = "OTEL_RUST_ZPAGES_ADDRESS";
const LIMIT_VARIABLE: &str = "OTEL_RUST_ZPAGES_MEMORY_LIMIT";
/// The smallest limit, in bytes. A page about nothing is of no use.
const MIN_LIMIT: usize = 64 * 1024;

/// The options of the program.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) memory_limit: Option<usize>,
    pub(crate) allowed_hosts: Vec<String>,
}

/// The address of the pages.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    /// The setting, for messages.
    pub(super) setting: String,
}

impl Place {
    /// Returns the address of the program or of the environment, or `None` without one.
    pub(super) fn resolve(options: &Options, env: &Env) -> Result<Option<Self>, InitError> {
        if let Some(address) = options.address {
            return Ok(Some(Place {
                host: address.ip().to_string(),
                port: address.port(),
                setting: address.to_string(),
            }));
        }
        let Some(value) = env.text(ADDRESS_VARIABLE) else {
            return Ok(None);
        };
        let parsed = value.trim().rsplit_once(':').and_then(|(host, port)| {
            let host = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'))
                .unwrap_or(host);
            Some((host, port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
        });
        let Some((host, port)) = parsed else {
            let problem = "is not an address; write host and port, such as localhost:9465";
            return Err(InitError::invalid_variable(ADDRESS_VARIABLE, &value, problem));
        };
        Ok(Some(Place {
            host: host.to_owned(),
            port,
            setting: format!("{ADDRESS_VARIABLE}={value:?}"),
        }))
    }

    /// Returns whether this is the address of a listener.
    pub(super) fn is(&self, address: SocketAddr) -> bool {
        let resolved = (&*self.host, self.port).to_socket_addrs();
        self.port != 0 && resolved.is_ok_and(|mut addresses| addresses.any(|own| own == address))
    }
}

/// Returns the limit of the memory, in bytes.
pub(super) fn memory_limit(options: &Options, env: &Env) -> usize {
    let limit = options
        .memory_limit
        .or_else(|| env.number(LIMIT_VARIABLE, &DEFAULT_LIMIT))
        .unwrap_or(DEFAULT_LIMIT);
    limit.max(MIN_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(value: &str) -> Result<Option<(String, u16)>, String> {
        let env = Env::from_vars([(ADDRESS_VARIABLE, value)]);
        let place = Place::resolve(&Options::default(), &env);
        place
            .map(|place| place.map(|place| (place.host, place.port)))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for (value, expected) in [
            ("localhost:9465", Some(("localhost", 9465))),
            (" 127.0.0.1:0 ", Some(("127.0.0.1", 0))),
            ("[::1]:80", Some(("::1", 80))),
            ("0.0.0.0:1", Some(("0.0.0.0", 1))),
            ("", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(resolve(value), Ok(expected), "{value:?}");
        }
        for value in [
            "localhost",
            ":9465",
            "9465",
            "localhost:",
            "localhost:65536",
            "http://a:b",
        ] {
            let expected =
                format!("{ADDRESS_VARIABLE}={value:?} is not an address; write host and port, such as localhost:9465");
            assert_eq!(resolve(value), Err(expected), "{value:?}");
        }
    }

    #[test]
    fn the_program_takes_precedence() {
        let env = Env::from_vars([(ADDRESS_VARIABLE, "nonsense"), (LIMIT_VARIABLE, "nonsense")]);
        let options = Options {
            address: Some(([127, 0, 0, 1], 7).into()),
            memory_limit: Some(1 << 20),
            ..Options::default()
        };
        let place = Place::resolve(&options, &env).unwrap().unwrap();
        assert_eq!((&*place.host, place.port), ("127.0.0.1", 7));
        assert_eq!(memory_limit(&options, &env), 1 << 20);
        assert_eq!(env.into_warnings(), [] as [&str; 0]);
    }

    #[test]
    fn limits_have_a_minimum_and_a_default() {
        for (value, expected) in [
            ("", DEFAULT_LIMIT),
            ("1000000", 1_000_000),
            ("1", MIN_LIMIT),
            ("big", DEFAULT_LIMIT),
        ] {
            let env = Env::from_vars([(LIMIT_VARIABLE, value)]);
            assert_eq!(memory_limit(&Options::default(), &env), expected, "{value:?}");
        }
    }
}
