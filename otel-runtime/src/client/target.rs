//! The target that a client connects to: `server.address` and `server.port`.

use std::net::{Ipv6Addr, SocketAddr};

use opentelemetry::KeyValue;

use crate::semconv;

/// A parsed target, in [gRPC's name syntax] or as a URL.
///
/// [gRPC's name syntax]: https://github.com/grpc/grpc/blob/master/doc/naming.md
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    address: String,
    port: Option<u16>,
}

impl Target {
    /// Parses a target. If its syntax is unknown, the whole target becomes the address.
    ///
    /// Such an address still distinguishes one group of servers from another.
    pub(crate) fn parse(target: &str) -> Self {
        let target = target.trim();
        Target::parse_known(target).unwrap_or_else(|| Target::opaque(&without_user(target)))
    }

    pub(crate) fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = Vec::new();
        if !self.address.is_empty() {
            attributes.push(KeyValue::new(semconv::SERVER_ADDRESS, self.address.clone()));
        }
        if let Some(port) = self.port {
            attributes.push(KeyValue::new(semconv::SERVER_PORT, i64::from(port)));
        }
        attributes
    }

    fn parse_known(target: &str) -> Option<Self> {
        let Some((scheme, rest)) = target.split_once(':') else {
            return Target::host_and_port(target);
        };
        // In `dns://authority/name`, the authority is the DNS server.
        let name = rest
            .strip_prefix("//")
            .map_or(rest, |rest| rest.split_once('/').map_or("", |(_, name)| name));
        match scheme {
            "http" => Target::url(rest, 80),
            "https" => Target::url(rest, 443),
            "dns" | "ipv4" | "ipv6" => Target::host_and_port(name),
            "unix" => Target::unix_socket(rest.strip_prefix("//").unwrap_or(rest)),
            "unix-abstract" => Target::unix_socket(rest),
            _ => Target::host_and_port(target),
        }
    }

    fn url(rest: &str, default_port: u16) -> Option<Self> {
        let authority = rest.strip_prefix("//")?.split(['/', '?', '#']).next()?;
        let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
        let mut target = Target::host_and_port(server)?;
        target.port.get_or_insert(default_port);
        Some(target)
    }

    /// Parses `host`, `host:port`, `[IPv6]`, `[IPv6]:port`, or an IPv6 address without brackets.
    fn host_and_port(server: &str) -> Option<Self> {
        if let Ok(address) = server.parse::<Ipv6Addr>() {
            return Some(Target::opaque(&address.to_string()));
        }
        if let Ok(SocketAddr::V6(socket)) = server.parse() {
            return Some(Target {
                address: socket.ip().to_string(),
                port: Some(socket.port()),
            });
        }
        if let Some(address) = server.strip_prefix('[').and_then(|server| server.strip_suffix(']')) {
            return address
                .parse::<Ipv6Addr>()
                .ok()
                .map(|address| Target::opaque(&address.to_string()));
        }
        let (host, port) = match server.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (server, None),
        };
        let is_invalid_in_a_host = |char: char| "/,[]@?#".contains(char) || char.is_whitespace() || char.is_control();
        let is_host = !host.is_empty() && !host.contains(is_invalid_in_a_host);
        is_host.then(|| Target {
            address: host.to_owned(),
            port,
        })
    }

    fn unix_socket(name: &str) -> Option<Self> {
        (!name.is_empty()).then(|| Target::opaque(name))
    }

    /// Creates a target whose address is the whole text, without a port.
    fn opaque(target: &str) -> Self {
        Target {
            address: target.to_owned(),
            port: None,
        }
    }
}

/// Removes the user information from a URL, because it may contain a password.
fn without_user(target: &str) -> String {
    if let Some((scheme, rest)) = target.split_once("://") {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if let Some(at) = rest[..end].rfind('@') {
            return format!("{scheme}://{}", &rest[at + 1..]);
        }
    }
    target.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_every_kind_of_target() {
        for (target, address, port) in [
            ("greeter.example:50051", "greeter.example", Some(50051)),
            ("greeter.example", "greeter.example", None),
            ("localhost:1", "localhost", Some(1)),
            ("192.0.2.7:50051", "192.0.2.7", Some(50051)),
            ("[2001:db8::1]:50051", "2001:db8::1", Some(50051)),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("2001:db8::1", "2001:db8::1", None),
            ("http://greeter.example:50051", "greeter.example", Some(50051)),
            ("http://greeter.example:50051/a/b?c", "greeter.example", Some(50051)),
            ("http://greeter.example", "greeter.example", Some(80)),
            ("https://greeter.example", "greeter.example", Some(443)),
            ("https://[::1]:8443", "::1", Some(8443)),
            ("http://user:secret@greeter.example:1", "greeter.example", Some(1)),
            ("dns:greeter.example:50051", "greeter.example", Some(50051)),
            ("dns:greeter.example", "greeter.example", None),
            ("dns:///greeter.example:50051", "greeter.example", Some(50051)),
            ("dns://8.8.8.8/greeter.example:50051", "greeter.example", Some(50051)),
            (
                "dns://[2001:4860::8888]:53/greeter.example:443",
                "greeter.example",
                Some(443),
            ),
            ("ipv4:192.0.2.7:50051", "192.0.2.7", Some(50051)),
            ("ipv4:192.0.2.7", "192.0.2.7", None),
            ("ipv6:[2001:db8::1]:50051", "2001:db8::1", Some(50051)),
            ("ipv6:2001:db8::1", "2001:db8::1", None),
            ("unix:///run/greeter.sock", "/run/greeter.sock", None),
            ("unix:/run/greeter.sock", "/run/greeter.sock", None),
            ("unix:greeter.sock", "greeter.sock", None),
            ("unix-abstract:greeter", "greeter", None),
            (" greeter.example:50051 ", "greeter.example", Some(50051)),
        ] {
            let expected = Target {
                address: address.to_owned(),
                port,
            };
            assert_eq!(Target::parse(target), expected, "{target}");
        }
    }

    #[test]
    fn an_unknown_target_is_the_address() {
        for target in [
            "xds:///greeter",
            "zookeeper://zk.example:2181/greeter",
            "ipv4:192.0.2.7:50051,192.0.2.8:50051",
            "greeter.example:fifty",
            "greeter.example:99999",
            "http:greeter.example",
            "http://",
            "dns://8.8.8.8",
            "[2001:db8::1",
            "[greeter.example]:1",
            ":50051",
            "a b:1",
            "unix:",
            "unix://",
            "unix-abstract:",
            "a\tb:1",
        ] {
            assert_eq!(Target::parse(target), Target::opaque(target), "{target}");
        }
    }

    #[test]
    fn removes_user_and_password() {
        for (target, address) in [
            ("http://user:secret@", "http://"),
            ("http://user:secret@a b", "http://a b"),
            (
                "http://user:s@cret@greeter.example:fifty/a",
                "http://greeter.example:fifty/a",
            ),
            ("xds://user:secret@directory/greeter", "xds://directory/greeter"),
        ] {
            assert_eq!(Target::parse(target), Target::opaque(address), "{target}");
        }
    }

    #[test]
    fn omits_empty_attributes() {
        assert_eq!(Target::parse("").attributes(), []);
        assert_eq!(
            Target::parse("greeter.example:50051").attributes(),
            [
                KeyValue::new("server.address", "greeter.example"),
                KeyValue::new("server.port", 50051)
            ]
        );
    }
}
