//! Proxies between the exporters and their receiver, by curl's variables: `HTTPS_PROXY`,
//! `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower case.

mod connector;

#[cfg(feature = "http")]
use http::HeaderValue;
use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

pub(super) use self::connector::for_grpc;
#[cfg(feature = "http")]
pub(super) use self::connector::{Connector, for_http};
use super::proxy_variable::proxy_variable;
use super::uri::port;
use crate::env::Env;

/// A proxy, with the credentials in its URL.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    intercept: Intercept,
    kind: Kind,
}

/// How a proxy is asked for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Socks4 { local_dns: bool },
    Socks5 { local_dns: bool },
}

impl Proxy {
    /// Returns the proxy of the environment for an endpoint.
    pub(super) fn for_endpoint(endpoint: &Uri, env: &Env) -> Option<Self> {
        let (name, url) = proxy_variable(endpoint, env)?;
        let excluded = env.first_set(["NO_PROXY", "no_proxy"]);
        let excluded = excluded.map(|(_, list)| list).unwrap_or_default();
        let found = Matcher::builder().all(&*url).build().intercept(endpoint);
        let kind = match found.as_ref().and_then(|found| found.uri().scheme_str()) {
            Some("http") => Kind::Http,
            Some("socks4") => Kind::Socks4 { local_dns: true },
            Some("socks4a") => Kind::Socks4 { local_dns: false },
            Some("socks5") => Kind::Socks5 { local_dns: true },
            Some("socks5h") => Kind::Socks5 { local_dns: false },
            _ => {
                // The warning omits the value, which may contain a password.
                let problem =
                    "is not the URL of a proxy that is supported; expected e.g. http://proxy:3128; ignoring it";
                env.warn(name, "…", problem);
                return None;
            }
        };
        if excluded.split(',').any(|entry| entry.trim() == "*") {
            return None;
        }
        let excluded = without_ports(&excluded, endpoint);
        let intercept = Matcher::builder().all(&*url).no(excluded).build().intercept(endpoint)?;
        Some(Proxy { intercept, kind })
    }

    /// Returns the header `Proxy-Authorization` of requests that this proxy forwards.
    #[cfg(feature = "http")]
    pub(super) fn authorization(&self, endpoint: &Uri) -> Option<&HeaderValue> {
        self.intercept.basic_auth().filter(|_| self.forwards(endpoint))
    }

    /// Returns whether HTTP/1.1 requests are sent to the proxy itself. Many proxies allow tunnels
    /// to TLS ports only.
    fn forwards(&self, endpoint: &Uri) -> bool {
        self.kind == Kind::Http && endpoint.scheme_str() == Some("http")
    }
}

/// Returns the list of hosts without brackets and ports, and without hosts at other ports.
fn without_ports(list: &str, endpoint: &Uri) -> String {
    let port = port(endpoint);
    let entries = list.split(',').filter_map(|entry| {
        let entry = entry.trim();
        let (host, at) = match entry.rsplit_once(':') {
            // An IPv6 address without brackets has more than one colon.
            Some((host, at)) if host.ends_with(']') || !host.contains(':') => (host, at.parse().ok()),
            _ => (entry, None),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        at.is_none_or(|at: u16| at == port).then_some(host)
    });
    entries.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy<const N: usize>(endpoint: &str, variables: [(&str, &str); N]) -> (Option<String>, Vec<String>) {
        let env = Env::from_vars(variables);
        let proxy = Proxy::for_endpoint(&endpoint.parse().unwrap(), &env);
        (
            proxy.map(|proxy| proxy.intercept.uri().to_string()),
            env.into_warnings(),
        )
    }

    #[test]
    fn the_scheme_chooses_the_variable() {
        let variables = [
            ("HTTP_PROXY", "http://plain:1"),
            ("https_proxy", "secure:2"),
            ("ALL_PROXY", "http://all:3"),
        ];
        let found = |endpoint| proxy(endpoint, variables).0;
        assert_eq!(found("http://c:4317").as_deref(), Some("http://plain:1/"));
        assert_eq!(found("https://c:4317").as_deref(), Some("http://secure:2/"));
        let all = [("ALL_PROXY", "socks5h://all:3")];
        assert_eq!(proxy("http://c", all).0.as_deref(), Some("socks5h://all:3/"));
        assert_eq!(proxy("http://c", [("HTTPS_PROXY", "http://p")]), (None, vec![]));
    }

    #[test]
    fn some_hosts_have_no_proxy() {
        let variables = [("HTTP_PROXY", "http://p:1"), ("NO_PROXY", "inner.test, 10.0.0.0/8")];
        for (host, has_proxy) in [
            ("outer.test", true),
            ("inner.test", false),
            ("c.inner.test", false),
            ("10.1.2.3", false),
            ("11.1.2.3", true),
            ("localhost", false),
            ("127.0.0.1", false),
            ("[::1]", false),
        ] {
            let (proxy, warnings) = proxy(&format!("http://{host}:4317"), variables);
            assert_eq!((proxy.is_some(), warnings), (has_proxy, vec![]), "{host}");
        }
    }

    #[test]
    fn entries_without_a_proxy_have_many_forms() {
        for (excluded, host, has_proxy) in [
            ("*", "10.1.2.3", false),
            ("x, *", "[2001:db8::1]", false),
            ("*", "inner.test", false),
            (".inner.test", "inner.test", false),
            (".inner.test", "c.INNER.test", false),
            (".inner.test", "dinner.test", true),
            ("inner.test:4317", "c.inner.test", false),
            ("inner.test:4318", "inner.test", true),
            ("10.1.2.3:4317", "10.1.2.3", false),
            ("10.1.2.3:80", "10.1.2.3", true),
            ("[2001:db8::1]", "[2001:db8::1]", false),
            ("[2001:db8::1]:4317", "[2001:db8::1]", false),
            ("[2001:db8::1]:80", "[2001:db8::1]", true),
            ("2001:db8::/32", "[2001:db8::1]", false),
        ] {
            let variables = [("HTTP_PROXY", "http://p:1"), ("NO_PROXY", excluded)];
            let (proxy, warnings) = proxy(&format!("http://{host}:4317"), variables);
            assert_eq!((proxy.is_some(), warnings), (has_proxy, vec![]), "{excluded} {host}");
        }
    }

    #[test]
    fn unusable_proxies_are_ignored_without_showing_them() {
        for value in [
            "ftp://ada:secret@p",
            "https://ada:secret@p",
            "http://ada:secret@",
            "a b",
        ] {
            let expected = "HTTP_PROXY=\"…\" is not the URL of a proxy that is supported; expected e.g. \
                            http://proxy:3128; ignoring it";
            assert_eq!(
                proxy("http://c", [("HTTP_PROXY", value)]),
                (None, vec![expected.to_owned()]),
                "{value}"
            );
        }
    }
}
