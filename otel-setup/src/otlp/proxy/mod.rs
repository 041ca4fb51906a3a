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
use super::uri::{has_valid_port, port};
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
        let url = normalized(&url).unwrap_or_default();
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
        if entries(&excluded).any(|entry| entry == "*") {
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

/// Returns the URL of a proxy as the matcher reads it, or `None` if it is invalid.
///
/// The matcher would take a part of a password that has an `@` for the host, and port 80 in place
/// of one that is no number or is missing.
fn normalized(url: &str) -> Option<String> {
    let url = url.trim();
    let text = if url.contains("://") {
        url.to_owned()
    } else {
        format!("http://{url}")
    };
    let url: Uri = text.parse().ok().filter(has_valid_port)?;
    let (scheme, authority) = (url.scheme_str()?, url.authority()?.as_str());
    // Behind a password with a `/`, `?` or `#`, the host is a part of what follows.
    if text.matches('@').count() > authority.matches('@').count() {
        return None;
    }
    let port = match url.port() {
        None if scheme.starts_with("socks") => ":1080",
        _ => "",
    };
    Some(match authority.rsplit_once('@') {
        Some((user_info, host)) => format!("{scheme}://{}@{host}{port}", user_info.replace('@', "%40")),
        None => format!("{scheme}://{authority}{port}"),
    })
}

/// Returns the entries of `NO_PROXY`. As in curl, blanks also separate them.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty())
}

/// Returns the list of hosts without brackets, stars and ports, and without hosts at other ports.
fn without_ports(list: &str, endpoint: &Uri) -> String {
    let port = port(endpoint);
    let entries = entries(list).filter_map(|entry| {
        let (host, at) = match entry.rsplit_once(':') {
            // An IPv6 address without brackets has more than one colon.
            Some((host, at)) if host.ends_with(']') || !host.contains(':') => (host, at.parse().ok()),
            _ => (entry, None),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        // As in Go, `*.domain` is `.domain`.
        let host = host
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
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
    fn urls_are_read_with_any_password_and_the_ports_of_their_schemes() {
        for (url, expected, authorization) in [
            ("http://ada:se@cret@p:1", "http://p:1/", Some("Basic YWRhOnNlQGNyZXQ=")),
            (
                "http://ada:se%40cret@p:1",
                "http://p:1/",
                Some("Basic YWRhOnNlQGNyZXQ="),
            ),
            ("ada:secret@p", "http://p/", Some("Basic YWRhOnNlY3JldA==")),
            (" http://p:1/\n", "http://p:1/", None),
            ("http://[2001:db8::1]:1", "http://[2001:db8::1]:1/", None),
            ("socks5://p", "socks5://p:1080/", None),
            ("socks5h://[2001:db8::1]", "socks5h://[2001:db8::1]:1080/", None),
            ("socks5://ada:se@cret@p:1", "socks5://p:1/", None),
        ] {
            let env = Env::from_vars([("HTTP_PROXY", url)]);
            let proxy = Proxy::for_endpoint(&"http://c:4317".parse().unwrap(), &env).unwrap();
            assert_eq!(proxy.intercept.uri(), expected, "{url}");
            let found = proxy.intercept.basic_auth();
            assert_eq!(found.map(|value| value.to_str().unwrap()), authorization, "{url}");
            if url.starts_with("socks5://ada") {
                assert_eq!(proxy.intercept.raw_auth(), Some(("ada", "se@cret")));
            }
        }
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
            ("*.inner.test", "c.inner.test", false),
            ("*.inner.test", "dinner.test", true),
            ("x.test inner.test", "inner.test", false),
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
            "http://ada:sec/ret@p",
            "http://ada:12/34@p",
            "http://ada:12#34@p",
            "http://p:99999",
            "http://p:",
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
