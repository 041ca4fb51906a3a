//! The check of the header `Host`.
//!
//! A web page of a stranger can point its own name at a loopback address, and then read what is
//! served there ("DNS rebinding"). The browser sends that name in `Host`.

use std::net::IpAddr;

/// Returns whether a request for this host is answered: an IP address, `localhost`, a name below
/// it, or one that the program allows.
pub(super) fn is_allowed(host: &str, allowed: &[String]) -> bool {
    let name = without_port(host);
    let is_address = match name.strip_prefix('[') {
        Some(name) => name
            .strip_suffix(']')
            .is_some_and(|name| name.parse::<IpAddr>().is_ok()),
        None => name.parse::<IpAddr>().is_ok(),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let name = bare(name);
    is_address
        || name == "localhost"
        || (name.ends_with(".localhost") && name.bytes().all(is_name))
        || (!name.is_empty() && allowed.iter().any(|allowed| bare(without_port(allowed)) == name))
}

/// Returns a name in lower case, without the dot at its end.
fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !is_ipv6(host) => name,
        _ => host,
    }
}

/// Returns whether this is an IPv6 address in brackets without a port.
fn is_ipv6(host: &str) -> bool {
    host.ends_with(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_localhost_and_allowed_names_are_answered() {
        let allowed = ["pod.example".to_owned(), "Node.Example.:9465".to_owned(), String::new()];
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.0.0.1:9465", true),
            ("10.1.2.3:80", true),
            ("[::1]", true),
            ("[::1]:9465", true),
            ("localhost", true),
            ("LocalHost:9465", true),
            ("localhost.:9465", true),
            ("greeter.localhost:9465", true),
            ("pod.example:9465", true),
            ("POD.example", true),
            ("node.example:1", true),
            ("evil .localhost", false),
            ("evil.example/.localhost", false),
            ("", false),
            (":9465", false),
            ("evil.example", false),
            ("evil.example:9465", false),
            ("localhost.evil.example", false),
            ("notlocalhost", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1:9465@evil.example", false),
            ("[::1", false),
            ("[evil.example]:80", false),
            ("sub.pod.example", false),
            ("[127.0.0.1]x", false),
        ] {
            assert_eq!(is_allowed(host, &allowed), expected, "{host}");
        }
    }
}
